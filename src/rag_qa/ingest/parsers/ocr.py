"""Checks that Tesseract, which reads images, is there."""

import shutil
import subprocess

from rag_qa.errors import SettingsError

__all__ = ["check_ocr"]

SECONDS_TO_ANSWER = 20


def check_ocr(languages: str) -> None:
    """Checks that Tesseract and its data of the languages, joined by `+`, are installed.

    Raises:
        SettingsError: they are not.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise SettingsError("OCR is on, but Tesseract is not installed: install it (tesseract-ocr), or leave OCR off.")
    try:
        listed = subprocess.run(  # noqa: S603 - the program that the user asked for
            [program, "--list-langs"], capture_output=True, text=True, check=False, timeout=SECONDS_TO_ANSWER
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"OCR is on, but Tesseract does not run ({error}): repair it, or leave OCR off.") from None
    there = listed.stdout.splitlines()[1:]
    missing = [language for language in languages.split("+") if language not in there]
    if missing:
        raise SettingsError(
            f"OCR is on, but Tesseract has no data for “{missing[0]}” (it has {', '.join(there) or 'none'}): install "
            "them, or set ocr_language."
        )
