"""Every address of the app."""
urlpatterns = []
