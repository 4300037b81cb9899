"""Reads the text of a PDF."""

import io

from pypdf import PdfReader


def read(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())
