"""The app's tables as far as the contest reads them; Django makes only those of its own sign-in."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models


class Id(models.UUIDField):  # type: ignore[misc]
    """On SQLite the app writes a UUID with its dashes, Django without."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if connection.features.has_native_uuid_field or value is None:
            return super().get_db_prep_value(value, connection, prepared)
        return str(value)


class Table(models.Model):  # type: ignore[misc]
    id = Id(primary_key=True)

    class Meta:
        abstract = True
        managed = False


def _to(table: str, name: str = "+") -> Any:
    return models.ForeignKey(table, models.DO_NOTHING, related_name=name, null=True)


class User(AbstractBaseUser):  # type: ignore[misc]
    id = Id(primary_key=True)
    email = models.CharField(max_length=254, unique=True)
    name = models.CharField(max_length=100)
    password = models.CharField(max_length=255, db_column="hashed_password")
    is_active = models.BooleanField()
    last_login = None

    USERNAME_FIELD = "email"

    class Meta:
        managed = False
        db_table = "user"


class Household(Table):
    name = models.CharField(max_length=100)
    time_zone = models.CharField(max_length=60)
    currency = models.CharField(max_length=3)
    soon_days = models.IntegerField()

    class Meta(Table.Meta):
        db_table = "household"


class Membership(Table):
    household = _to("Household")
    user = _to("User")
    role = models.CharField(max_length=30)

    class Meta(Table.Meta):
        db_table = "membership"


class Unit(Table):
    code = models.CharField(max_length=20)
    name = models.CharField(max_length=50)
    plural = models.CharField(max_length=50)
    kind = models.CharField(max_length=30)
    factor = models.BigIntegerField()

    class Meta(Table.Meta):
        db_table = "unit"


class Category(Table):
    parent = _to("Category")
    icon = models.CharField(max_length=40)
    soon_days = models.IntegerField(null=True)

    class Meta(Table.Meta):
        db_table = "category"


class Location(Table):
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=30)

    class Meta(Table.Meta):
        db_table = "location"


class Product(Table):
    name = models.CharField(max_length=100)
    unit = models.ForeignKey(Unit, models.DO_NOTHING, related_name="+")
    category = _to("Category")
    usual_quantity = models.BigIntegerField(null=True)
    soon_days = models.IntegerField(null=True)

    class Meta(Table.Meta):
        db_table = "product"


class Lot(Table):
    household = models.ForeignKey(Household, models.DO_NOTHING, related_name="+")
    product = models.ForeignKey(Product, models.DO_NOTHING, related_name="+")
    location = models.ForeignKey(Location, models.DO_NOTHING, related_name="+")
    quantity = models.BigIntegerField()
    date_kind = models.CharField(max_length=30)
    printed_on = models.DateField(null=True)
    expires_on = models.DateField(null=True)
    expiry_reason = models.CharField(max_length=30, null=True)
    opened_on = models.DateField(null=True)
    frozen_on = models.DateField(null=True)
    thawed_on = models.DateField(null=True)
    snoozed_until = models.DateField(null=True)
    purchased_on = models.DateField()
    purchased_quantity = models.BigIntegerField()
    price = models.BigIntegerField(null=True)
    store = models.CharField(max_length=100)
    lot_code = models.CharField(max_length=50)
    owner_id = Id(null=True)
    note = models.CharField(max_length=2000)
    version = models.IntegerField()

    class Meta(Table.Meta):
        db_table = "lot"


class Event(Table):
    household = _to("Household")
    kind = models.CharField(max_length=30)
    value = models.BigIntegerField(null=True)
    occurred_at = models.DateTimeField()
    reverses = _to("Event")

    class Meta(Table.Meta):
        db_table = "event"
