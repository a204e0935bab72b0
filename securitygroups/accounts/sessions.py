"""Sessions in the database, as Django keeps them; what each request asks for is put into SQL once."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.utils import timezone

from securitygroups.models import Asked, Given


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> AbstractBaseSession | None:
        session: AbstractBaseSession | None = _RUNNING.one(key=self.session_key, now=timezone.now())
        if session is None:
            self._session_key = None
        return session


_RUNNING = Asked(
    lambda: SessionStore.get_model_class().objects.filter(session_key=Given("key"), expire_date__gt=Given("now"))
)
