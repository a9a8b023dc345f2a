"""What can be wrong with a schema."""


class SchemaError(Exception):
    """The schema is not usable; the message names the place."""
