"""The Telegram bot: a door to artifacts. Needs the extra ``bot``; torch never."""
