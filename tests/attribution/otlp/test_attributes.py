"""Attributes are read as protobuf reads them, also where they are short and their keys are known."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from attribution.ingest.otlp import protobuf

keys = st.sampled_from(["finops.team", "gen_ai.usage.input_tokens", "gen_ai.prompt", "", "k" * 130, "\u00fc"])
values = st.one_of(
    st.builds(AnyValue, string_value=st.text(max_size=140)),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, int_value=st.integers(0, 2**36)),
    st.builds(AnyValue, double_value=st.floats(allow_nan=False)),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.just(AnyValue()),
)


def read(encoded: bytes) -> str:
    """What is found, or that it is no attribute; as text, for one NaN is not equal to another."""
    try:
        return repr(protobuf._attributes([encoded]))
    except (DecodeError, UnicodeDecodeError):
        return "broken"


def read_by_protobuf(encoded: bytes) -> str:
    """The same without what is remembered."""
    protobuf._remembered.clear()
    protobuf._keys.clear()
    return read(encoded)


@given(keys, values, st.integers(0, 300), st.integers(0, 255))
def test_known_keys_change_nothing(key: str, value: AnyValue, place: int, byte: int) -> None:
    sound = KeyValue(key=key, value=value).SerializeToString()
    other = bytearray(sound)
    if other:
        other[place % len(other)] = byte
    for encoded in (sound, bytes(other)):
        expected = read_by_protobuf(encoded)
        protobuf._remembered.clear()
        read(KeyValue(key=key, value=AnyValue(string_value="before")).SerializeToString())

        assert read(encoded) == expected
