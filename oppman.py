#!/usr/bin/env python
"""Larder's management command, as `manage.py` is Django's. `python oppman.py --help` lists what it can do."""

from commands import application

if __name__ == "__main__":
    application()
