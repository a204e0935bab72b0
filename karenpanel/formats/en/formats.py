"""As the panel writes days and times."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i"
