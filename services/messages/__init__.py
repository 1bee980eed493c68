"""What is said in chats."""

from services.messages.reading import export, find_shared, get_message, in_words, list_messages, search
from services.messages.text import Found, Link, Named, Part, Text, parts, with_found
from services.messages.writing import delete, edit, post, react, unreact
from services.stock_talk import say_booked

__all__ = [
    "Found",
    "Link",
    "Named",
    "Part",
    "Text",
    "delete",
    "edit",
    "export",
    "find_shared",
    "get_message",
    "in_words",
    "list_messages",
    "parts",
    "post",
    "react",
    "say_booked",
    "search",
    "unreact",
    "with_found",
]
