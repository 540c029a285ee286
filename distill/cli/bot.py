"""``edgeproof bot``: the Telegram bot. Needs no torch."""

import os
from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import ModelsOption, RuntimeOption
from distill.errors import EdgeproofError
from distill.optional import require

TOKEN = "EDGEPROOF_BOT_TOKEN"


def bot(
    models: ModelsOption = None,
    model: Annotated[str | None, typer.Option(help="The model that answers (default: photos-128).")] = None,
    runtime: RuntimeOption = None,
    threads: Annotated[int, typer.Option(help="Pictures judged at once.", min=1)] = 2,
    per_minute: Annotated[int, typer.Option(help="Pictures of a user a minute.", min=1)] = 20,
    max_mb: Annotated[int, typer.Option(help="Megabytes of a picture; Telegram gives 20.", min=1)] = 20,
    api: Annotated[str, typer.Option(help="Address of the Bot API's server.")] = "https://api.telegram.org",
) -> None:
    """Judge photographs on Telegram; the bot's token stands in EDGEPROOF_BOT_TOKEN, and nowhere else."""
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise EdgeproofError(f"{TOKEN}: not set, expected the token that Telegram's @BotFather gave")
    require("telegram")
    from telegram.error import InvalidToken

    from deploy.bot.bot import build
    from deploy.service.settings import Settings

    settings = Settings(
        state=Path("edgeproof-bot"), models=models, model=model, runtime=runtime, threads=threads,
        max_bytes=max_mb * 2**20,
    )  # fmt: skip
    settings.check()
    try:
        build(settings, token=token, most=per_minute, api=api).run_polling(close_loop=False)
    except InvalidToken:
        raise EdgeproofError(f"{TOKEN}: refused by {api}, expected the token of a bot") from None
