"""The pipeline's side: push what lives here, have versions built, move aliases.

Every function takes the server's address first; None means what `Curriculum.connect` takes it for. Keywords that a
function does not name go to the connection: `timeout`, `retry`, `tls`, `api_key`.
"""

from curriculum.ingest.jobs import promote, roll_back, submit, wait
from curriculum.ingest.push import push_features, push_images

__all__ = ["promote", "push_features", "push_images", "roll_back", "submit", "wait"]
