"""`python -m telegram_router` is the command `telegram-router`."""

from telegram_router.cli import main

main(prog_name="telegram-router")
