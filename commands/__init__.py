"""The commands of `oppman.py`, one module a group. Each parses, calls one service in a session, and prints."""

from typing import Any

import typer
from typer.core import TyperGroup

from commands import (
    audit,
    checks,
    database,
    development,
    guard,
    initial,
    jobs,
    messages,
    migrations,
    monitor,
    roles,
    server,
    static,
    storage,
    users,
)
from commands.asynchronous import telling


class Commands(TyperGroup):
    """Errors are raised anywhere, and told once."""

    def invoke(self, ctx: Any) -> Any:
        with telling():
            return super().invoke(ctx)


application = typer.Typer(
    name="oppman.py",
    cls=Commands,
    help="Manage this instance of Larder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

application.command()(server.runserver)
application.command()(jobs.worker)
application.command()(jobs.run_task)
application.command()(jobs.tasks)
application.command()(migrations.migrate)
application.command()(migrations.makemigrations)
application.command()(migrations.showmigrations)
application.command()(migrations.sqlmigrate)
application.command()(database.seed)
application.command()(database.dbshell)
application.command()(users.createsuperuser)
application.command()(users.changepassword)
application.command()(users.clearsessions)
application.add_typer(users.user, name="user")
application.add_typer(users.apikey, name="apikey")
application.add_typer(roles.role, name="role")
application.add_typer(initial.permissions, name="permissions")
application.command()(initial.init)
application.command()(initial.init_plan)
application.add_typer(audit.audit, name="audit")
application.add_typer(guard.guard, name="guard")
application.add_typer(monitor.monitor, name="monitor")
application.add_typer(storage.storage, name="storage")
application.command()(checks.check)
application.command("secrets")(checks.new_secrets)
application.command()(development.shell)
application.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(development.test)
application.command()(development.routes)
application.command()(development.makemessages)
application.command()(development.compilemessages)
application.command()(static.collectstatic)
application.command("vapid")(messages.vapid_key)
application.command()(messages.sendtestemail)
