"""What values may be, whoever brings them: options, functions' arguments, TOML, JSON, devices, other people's runs.

`rules` has what can be demanded, `kinds` the kinds of quantities, names and paths, `reading` the reader of plain data, `calls`
the same for functions' arguments, and `formats` files of plain data with their versions.
"""

from edgenas.values.calls import checked, fit
from edgenas.values.formats import Columns, Format, decoded_json, decoded_toml, read_text
from edgenas.values.reading import Inlined, Unfit, check_fields, plain, plain_fields, read
from edgenas.values.rules import (
    Ascending,
    AsWritten,
    Distinct,
    Length,
    ListsCores,
    Matches,
    OneOf,
    OrNaN,
    PathLike,
    Rule,
    Within,
    Writable,
    cores_of,
    shown,
    unknown,
)

__all__ = [
    "AsWritten",
    "Ascending",
    "Columns",
    "Distinct",
    "Format",
    "Inlined",
    "Length",
    "ListsCores",
    "Matches",
    "OneOf",
    "OrNaN",
    "PathLike",
    "Rule",
    "Unfit",
    "Within",
    "Writable",
    "check_fields",
    "checked",
    "cores_of",
    "decoded_json",
    "decoded_toml",
    "fit",
    "plain",
    "plain_fields",
    "read",
    "read_text",
    "shown",
    "unknown",
]
