"""Settings from the environment: each field is the variable of the same name in capitals."""

from functools import lru_cache

from service_platform.settings import PlatformSettings


class Settings(PlatformSettings):
    """HOST, PORT and what else every service reads are inherited; add your own here."""


@lru_cache
def load_settings() -> Settings:
    return Settings()


async def get_settings() -> Settings:
    """For endpoints, as a dependency; async, or FastAPI would call it in a thread."""
    return load_settings()
