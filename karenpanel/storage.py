"""The static files as they are served: under hashed names, the sheets in one file, the modules importing by those names."""

import posixpath
from collections.abc import Callable
from pathlib import Path
from re import Match

from django.contrib.staticfiles import finders
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

SHEET = r"""(?P<matched>@import\s+"(?P<url>[^":]+)";)"""
MODULE = r"""(?P<matched>(?P<names>import\s+(?:\{[^}]*\}\s+from\s+)?)"(?P<url>\./[^"]+)";)"""
JOIN = "join"


class PanelStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """`collectstatic` puts each sheet in the place of its import, and hashed names into the imports of modules.

    A browser that has to import sheets learns of them one round trip later, and asks for forty files before it paints
    anything. Modules stay files of their own: no paint waits for them. Django would do their imports too, but in the
    files of other packages as well, which name in comments what does not exist.
    """

    patterns = (
        ("css/*.css", ((SHEET, JOIN),)),
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", ((MODULE, '%(names)s"%(url)s";'),)),
    )

    def url_converter(
        self, name: str, hashed_files: dict[str, str], template: str | None = None
    ) -> Callable[[Match[str]], str]:
        if template != JOIN:
            convert: Callable[[Match[str]], str] = super().url_converter(name, hashed_files, template)
            return convert

        def sheet(found: Match[str]) -> str:
            # From its source: what was collected before may be older.
            path = finders.find(posixpath.join(posixpath.dirname(name), found["url"]))
            if path is None:
                raise ValueError(f"{name} imports {found['url']}, which does not exist.")
            return Path(path).read_text()

        return sheet
