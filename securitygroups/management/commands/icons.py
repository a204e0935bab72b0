"""Write static/icons.svg: every icon that a template or a template tag names, once, from the lucide package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from lucide import IconDoesNotExist
from lucide.templatetags.lucide import lucide

SPRITE = Path(settings.BASE_DIR) / "static" / "icons.svg"
TEMPLATES = Path(settings.BASE_DIR) / "templates"
TAGS = Path(settings.BASE_DIR) / "securitygroups" / "templatetags"
# {% icon "plus" %}, and {% include "ui/nav_item.html" with icon_name="server" %}.
_NAMED = re.compile(r'\bicon(?:_name)?[ =]"([a-z0-9-]+)"')


def used() -> set[str]:
    """The names of all icons that pages may show."""
    texts = [file.read_text("utf-8") for file in TEMPLATES.rglob("*.html")]
    names = {name for text in texts for name in _NAMED.findall(text)}
    return names | {name for file in TAGS.glob("*.py") for name in _in_tables(file)}


def _in_tables(file: Path) -> Iterator[str]:
    """The values of a module's tables of icons, which are dictionaries named so: ICONS, MESSAGE_ICONS."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Assign) and any(ast.unparse(target).endswith("ICONS") for target in node.targets):
            yield from ast.literal_eval(node.value).values()


def sprite() -> str:
    """The file's text. How an icon is drawn stands at its symbol, for a page that uses one brings only a size."""
    symbols = []
    for name in sorted(used()):
        try:
            drawing = ElementTree.fromstring(lucide(name))  # noqa: S314  # the package's own
        except IconDoesNotExist as error:
            raise CommandError(f"lucide has no icon “{name}”.") from error
        shapes = "".join(ElementTree.tostring(shape, "unicode").strip() for shape in drawing)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24" {_PEN}>{shapes.replace(" />", "/>")}</symbol>\n')
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{"".join(symbols)}</svg>\n'


_PEN = 'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'


class Command(BaseCommand):
    help = "Write static/icons.svg anew, after a template names another icon or the icon package has a new version."

    def handle(self, *args: Any, **options: Any) -> None:
        SPRITE.write_text(sprite(), "utf-8")
        self.stdout.write(f"{SPRITE.name}: {len(used())} icons")
