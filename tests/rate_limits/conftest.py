from tests.services import services, settings

__all__ = ["services", "settings"]
