"""The options of `bnn-tf` as Markdown, read from the parsers that the command itself uses."""

import argparse
import html
from typing import Any

from bnn_tf import cli


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, by its name."""
    return dict(_commands().choices)


def markdown() -> str:
    """A section for each command: what it does, and a table for each group of its options."""
    found = _commands()
    return "\n\n".join(_section(found.choices[each.dest], each) for each in found._choices_actions)


def _commands() -> Any:
    actions = cli.make_parser()._actions
    return next(action for action in actions if isinstance(action, argparse._SubParsersAction))


def _section(parser: argparse.ArgumentParser, command: argparse.Action) -> str:
    parts = [f"## `bnn-tf {command.dest}`", _sentence(parser.description or command.help or "")]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if actions:
            title = {"positional arguments": "arguments", "options": "options"}.get(group.title or "", group.title)
            parts.append("\n".join([f"| {title} | |", "|---|---|", *(_row(parser, action) for action in actions)]))
    return "\n\n".join(parts)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[0].upper() + text[1:].rstrip(".") + "."


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter: Any = parser._get_formatter()
    if action.option_strings:
        metavar = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
        spelled = ", ".join(f"{option} {metavar}".strip() for option in action.option_strings)
    else:
        spelled = formatter._format_args(action, formatter._get_default_metavar_for_positional(action))
    help_text = formatter._expand_help(action) if action.help else ""
    return f"| <code>{_cell(html.escape(spelled))}</code> | {_cell(help_text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "&#124;")
