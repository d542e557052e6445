"""A client of Passerby, sync and async, typed.

with Passerby("https://passerby.example.org", key="...") as passerby:
    for result in passerby.upload("street", Path("crops").glob("*.jpg")):
        print(result.file_name, result.status)
    found = passerby.search("street", "a woman in a red coat", limit=5)
"""

from app.client.answers import Answered, ClientError, Unreachable
from app.client.async_client import AsyncPasserby
from app.client.pictures import Picture
from app.client.sync_client import Passerby

__all__ = ["Answered", "AsyncPasserby", "ClientError", "Passerby", "Picture", "Unreachable"]
