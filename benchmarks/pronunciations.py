"""Measure the letter-to-sound rules of text to speech on English words, and write the dictionary of frequent words.

    python benchmarks/pronunciations.py --words 20000             measure the rules
    python benchmarks/pronunciations.py --words 20000 --write     also write audiogan/inputs/spoken/english.xz

The script needs the package ``pocketsphinx`` (extra ``benchmarks``). The wheel of this package contains the CMU
Pronouncing Dictionary and a language model with the frequencies of words.
"""

from __future__ import annotations

import argparse
import lzma
import re
from pathlib import Path

import numpy as np

from audiogan.inputs.spoken.english import CODES, DICTIONARY, apply_rules

LICENCE = """\
# Pronunciations of frequent words from the Carnegie Mellon Pronouncing Dictionary. Copyright (C) 1993-2015
# Carnegie Mellon University. All rights reserved. Redistribution and use in source and binary forms, with or
# without modification, are permitted provided that the following conditions are met: 1. Redistributions of
# source code must retain the above copyright notice, this list of conditions and the following disclaimer.
# The contents of this file are deemed to be source code. 2. Redistributions in binary form must reproduce the
# above copyright notice, this list of conditions and the following disclaimer in the documentation and/or
# other materials provided with the distribution. THIS SOFTWARE IS PROVIDED BY CARNEGIE MELLON UNIVERSITY "AS
# IS" AND ANY EXPRESSED OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF
# MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL CARNEGIE MELLON
# UNIVERSITY NOR ITS EMPLOYEES BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR
# CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF
# USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN
# CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
# THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""


def read_dictionary() -> dict[str, list[str]]:
    """Return the first pronunciation of each word in the dictionary of pocketsphinx."""
    from pocketsphinx import get_model_path

    lines = Path(get_model_path("en-us"), "cmudict-en-us.dict").read_text().splitlines()
    pairs = (line.split() for line in lines)
    return {word: phonemes for word, *phonemes in pairs if re.fullmatch("[a-z]+('[a-z]+)*", word)}


def frequencies(words: list[str]) -> np.ndarray:
    """Return the log-probability of each word in the language model of pocketsphinx."""
    from pocketsphinx import Config, LogMath, NGramModel, get_model_path

    config = Config(lm=None, hmm=get_model_path("en-us/en-us"), dict=None)
    model = NGramModel(config, LogMath(1.0001, 0, False), get_model_path("en-us/en-us.lm.bin"))
    return np.array([model.prob([word]) for word in words])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--words",
        type=int,
        default=20_000,
        help="number of words in the dictionary; the rules are measured on as many further words",
    )
    parser.add_argument("--write", action="store_true", help="write the dictionary")
    args = parser.parse_args()
    whole = read_dictionary()
    words = list(whole)
    order = [words[i] for i in np.argsort(-frequencies(words), kind="stable")]
    kept, others = sorted(order[: args.words]), order[args.words : 2 * args.words]
    if args.write:
        lines = "".join(f"{word} {''.join(CODES[p] for p in whole[word])}\n" for word in kept)
        DICTIONARY.write_bytes(lzma.compress((LICENCE + lines).encode("ascii"), preset=9 | lzma.PRESET_EXTREME))
        print(f"{len(kept):,} words, {DICTIONARY.stat().st_size:,} bytes: {DICTIONARY}")
    right = sum(apply_rules(word.replace("'", "")) == whole[word] for word in others)
    errors = sum(edit_distance(apply_rules(word.replace("'", "")), whole[word]) for word in others)
    count = sum(len(whole[word]) for word in others)
    print(
        f"rules on the next {len(others):,} words: {right / len(others):.1%} of words, {errors / count:.1%} of phonemes"
    )


def edit_distance(a: list[str], b: list[str]) -> int:
    """Return the edit distance of two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


if __name__ == "__main__":
    main()
