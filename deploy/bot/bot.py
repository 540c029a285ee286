"""Telegram's messages in, answers out: python-telegram-bot around a detector."""

import asyncio
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any

from telegram import Document, InputFile, Message, PhotoSize, Update
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from deploy.artifact import read_manifest
from deploy.bot import words
from deploy.bot.patience import Patience
from deploy.explain.answer import explain_answer
from deploy.prediction import Prediction
from deploy.runtime import Detector
from deploy.service.places import artifact_folders, folder_of
from deploy.service.settings import Settings
from deploy.shipped import DEFAULT
from distill.errors import EdgeproofError
from distill.plain import plain

_API = "https://api.telegram.org"
_MIB = 2**20
_Context = ContextTypes.DEFAULT_TYPE
log = logging.getLogger("edgeproof.bot")


class Bot:
    """What is said to whom.

    Args:
        settings: where artifacts are; ``threads`` pictures are judged at once, none above ``max_bytes``.
        most: pictures of a user a minute.
    """

    def __init__(self, settings: Settings, *, most: int) -> None:
        self._settings, self._most = settings, most
        self._patience = Patience(most=most)
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="judge")
        self._load = lru_cache(maxsize=4)(self._loaded)
        self._first = settings.model or DEFAULT
        self._load(self._first)  # a mistake shows at the start, not with the first picture

    def handlers(self) -> list[Any]:
        """For an :class:`telegram.ext.Application`, first that fits."""
        said = {"start": words.START, "help": words.HELP, "about": words.ABOUT}
        return [
            *(CommandHandler(name, _saying(text)) for name, text in said.items()),
            CommandHandler("models", self.models),
            CommandHandler("model", self.model),
            MessageHandler(filters.PHOTO | filters.Document.ALL, self.judge),
            MessageHandler(filters.UpdateType.MESSAGE, _saying(words.STILL_ONLY)),
        ]

    async def models(self, update: Update, _: _Context) -> None:
        """All of them, a line each; one that is damaged is left out."""
        lines = []
        for name, folder in sorted(artifact_folders(self._settings).items()):
            with suppress(EdgeproofError):
                lines.append(words.model(name, read_manifest(folder)))
        await _reply(update, "\n".join(lines))

    async def model(self, update: Update, context: _Context) -> None:
        """Tell or choose the model of this user."""
        if context.args:
            try:
                await self._in_thread(self._load, context.args[0])
            except EdgeproofError as error:
                await _reply(update, plain(str(error)))
                return
            _of_user(context)["model"] = context.args[0]
        name = self._model_of(context)
        await _reply(update, words.model(name, (await self._in_thread(self._load, name)).manifest))

    async def judge(self, update: Update, context: _Context) -> None:
        """Answer one picture; the pictures of an album come one by one."""
        message, user = update.effective_message, update.effective_user
        if message is None or user is None:
            return
        picture = message.photo[-1] if message.photo else message.document
        if picture is None or not _may_be_still(picture):
            await _reply(update, words.STILL_ONLY)
        elif (picture.file_size or 0) > self._settings.max_bytes:
            await _reply(update, words.TOO_LARGE.format(megabytes=self._settings.max_bytes / _MIB))
        elif wait := self._patience.wait_of(user.id):
            await _reply(update, words.TOO_MANY.format(most=self._most, seconds=max(1.0, wait)))
        else:
            await self._answer(message, picture, name=self._model_of(context))

    async def _answer(self, message: Message, picture: PhotoSize | Document, *, name: str) -> None:
        file = await picture.get_file()
        image = bytes(await file.download_as_bytearray())
        detector = await self._in_thread(self._load, name)
        try:
            prediction, drawing = await self._in_thread(_judged, detector, image)
        except EdgeproofError as error:
            await message.reply_text(plain(str(error)), do_quote=True)
            return
        caption = words.verdict(prediction, caution=detector.caution)
        await message.reply_photo(InputFile(drawing, "map.png"), caption=caption, do_quote=True)

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _loaded(self, name: str) -> Detector:
        threads = self._settings.threads
        folder = folder_of(self._settings, name)
        return Detector.load(folder, runtime=self._settings.runtime, threads=threads, workers=threads)

    def _model_of(self, context: _Context) -> str:
        return str(_of_user(context).get("model", self._first))


def build(
    settings: Settings, *, token: str, most: int = 20, api: str = _API
) -> "Application[Any, Any, Any, Any, Any, Any]":
    """The bot, ready for ``run_polling``.

    Args:
        settings: see :class:`Bot`.
        token: Telegram's; it stands in every address that is asked, so these are not logged.
        most: pictures of a user a minute.
        api: address of the Bot API's server.

    Raises:
        EdgeproofError: no such model.
    """
    for name in (
        "httpx",
        "httpcore",
        "telegram",
    ):  # they tell addresses, and of a wrong token the token itself
        logging.getLogger(name).setLevel(logging.CRITICAL)
    builder = ApplicationBuilder().token(token).base_url(f"{api}/bot").base_file_url(f"{api}/file/bot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        application = builder.concurrent_updates(settings.threads * 4).build()
    application.add_handlers(Bot(settings, most=most).handlers())
    application.add_error_handler(_failed)
    return application


def _judged(detector: Detector, image: bytes) -> tuple[Prediction, bytes]:
    """The answer, and the picture under its map."""
    pixels, cautions = detector.prepare(image, spec=detector.preprocessing(), name="picture")
    logits = detector.run(pixels)
    prediction = detector.conclude(logits, cautions=cautions)
    return prediction, explain_answer(detector, pixels, logits)[1]


def _may_be_still(picture: PhotoSize | Document) -> bool:
    kind = getattr(picture, "mime_type", None)
    return (
        kind is None
        or (kind.startswith("image/") and "svg" not in kind)
        or kind == "application/octet-stream"
    )


def _saying(text: str) -> Any:
    async def say(update: Update, _: _Context) -> None:
        await _reply(update, text)

    return say


async def _reply(update: Update, text: str) -> None:
    if update.effective_message is not None:
        await update.effective_message.reply_text(text)


def _of_user(context: _Context) -> dict[str, Any]:
    return context.user_data if context.user_data is not None else {}


async def _failed(update: object, context: _Context) -> None:
    """The log has the kind of failure, not its text, in which an address with the token may stand."""
    log.error("an update failed: %s", type(context.error).__name__)
    if isinstance(update, Update) and update.effective_message is not None:
        await update.effective_message.reply_text(words.FAILED)
