"""Pronunciation of English words: a dictionary of frequent words, and letter-to-sound rules for all others.

The dictionary ``english.xz`` holds pronunciations of frequent words from the Carnegie Mellon Pronouncing Dictionary.
Its licence is in the file itself. ``benchmarks/pronunciations.py`` makes the file and measures the rules.
"""

from __future__ import annotations

import lzma
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

DICTIONARY = Path(__file__).with_name("english.xz")
"""Compressed text file with one word and its phonemes, in the code of `ARPABET`, on each line."""
ARPABET = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
"""Symbol in the International Phonetic Alphabet of each phoneme of the dictionary (ARPAbet)."""
CODES = dict(zip(ARPABET, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM", strict=False))
"""Character that stands for each phoneme (ARPAbet) in the dictionary file."""
LETTER_NAMES = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "i": "AY",
    "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY", "q": "K Y UW",
    "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "w": "D AH B AH L Y UW", "x": "EH K S",
    "y": "W AY", "z": "Z IY",
}  # fmt: skip
"""Phonemes (ARPAbet) of the names of the letters, for abbreviations that are spelled."""
_RULES = """
a: ^a$=AH | ^are$=AA R | ^al(?=l|m[^aeiou])=AO L | ^ar(?=[aeiouy])=ER | arr(?=[aeiouy])=AE R | air=EH R | are$=EH R |
   ar(?=[aeiouy])=EH R | ar=AA R | augh=AO | au=AO | aw=AO | ay=EY | ai=EY | al(?=[kl])=AO | all=AO L |
   able$=AH B AH L | ally$=AH L IY | age$=IH JH | ate$=EY T | a(?=tion|tious)=EY | wa(?=[rst])=W AA | a$=AH |
   a(?=[bcdfghklmnpstvz](?:e|es|ed|ing|er|ers)$)=EY | a(?=[bcdfgklmnpstvz][ie][ao])=EY | a(?=l$|ls$|n$|nt$|nce$)=AH |
   ^a(?=[bcdfglmnpqrst][bcdfglmnpqrst])=AE | a=AE
b: mb$=M | bb=B | b(?=t$)= | b=B
c: cch=K | ch(?=[rl])=K | ch=CH | ck=K | cia(?=l|n)=SH AH | cious=SH AH S | cc(?=[iey])=K S | cc=K | c(?=[iey])=S |
   c=K
d: dg(?=e)=JH | dge=JH | dd=D | d=D
e: eau=OW | ear(?=[ntl])=ER | eer=IH R | ear=IH R | ea(?=d|th|lth|sure)=EH | ea=IY | ee=IY | ei(?=gh)=EY | eigh=EY |
   ei=IY | ew=UW | ey$=IY | ey=EY | eu=Y UW | err(?=[aeiouy])=EH R | er(?=[iy])=EH R | ere$=IH R | er=ER |
   ed(?<=[td]ed)$=IH D | ed(?<=[pkfsx]ed)$=T | ed(?<=ched)$=T | ed(?<=shed)$=T | (?<=[a-z]{2})ed$=D |
   es(?<=[sxzh]es)$=IH Z | es(?<=[cg]es)$=IH Z | (?<=[a-z]{2})es$=Z | ^e(?=[a-z]+)=IH | e(?<=^.e)$=IY |
   e(?<=^..e)$=IY | e$= | ely$=L IY | e(?=ment|less|ness|ful)= | e(?<=^[bdpr]e)(?=[bcdfglmnprstv][aeiou])=IH |
   e(?=[bcdfgklmnpstvz]e$)=IY | en$=AH N | el$=AH L | ent=AH N T | ence$=AH N S | e=EH
f: ff=F | f=F
g: ght=T | gh$= | gh=G | gn$=N | ^gn=N | gg=G | g(?=[iey])(?<!^g)=JH | ge$=JH | g=G
h: (?<=[aeiou])h$= | ^h(?=our|onest|onor)= | h=HH
i: igh=AY | ign$=AY N | ier$=IY ER | ies$=IY Z | ied$=IY D | ield=IY L D | iew=Y UW | ie$=IY | ie=IY | ind$=AY N D |
   ild$=AY L D | ire$=AY ER | ir(?=[aeiou])=AY R | ir=ER | ique$=IY K | ive$=IH V | ile$=AH L | ine$=AY N |
   ing=IH NG | ism$=IH Z AH M | ize=AY Z | ise=AY Z | ity$=IH T IY | ious=IY AH S | io(?=n)=IY AH | ia=IY AH |
   i(?=[bcdfgklmnpstvz](?:e|es|ed|er)$)=AY | i$=IY | ^i(?=[aeo])=AY | i=IH
j: j=JH
k: ^kn=N | kk=K | k=K
l: ll=L | le$=AH L | les$=AH L Z | led$=AH L D | l(?=[km]$)= | l=L
m: mm=M | mn$=M | m=M
n: ng$=NG | ngs$=NG Z | ng(?=er$|ed$|ing)=NG | n(?=[kqx])=NG | ng(?=[aou]|l|r)=NG G | nn=N | n=N
o: ough(?=t)=AO | ough=OW | ould=UH D | oul=OW L | our$=AO R | ous$=AH S | ound=AW N D | ou=AW | ow(?=n$|$|s$)=OW |
   ow=AW | oor=AO R | ook=UH K | oo=UW | oy=OY | oi=OY | oa=OW | oe$=OW | orr(?=[aeiouy])=AO R | or=AO R |
   old=OW L D | oll$=OW L | olk=OW K | ost$=OW S T | on$(?<=.{3}on)=AH N | om$=AH M | one$=OW N | ome$=AH M |
   o(?=[bcdfgklmnpstvz](?:e|es|ed|er)$)=OW | o$=OW | o(?=tion|cious)=OW | ^o(?=[bcdfglmnpstv][aeiou])=OW |
   o(?=[bcdfgklmnpstvz][ieu][aou])=OW | o=AA
p: ph=F | ^ps=S | ^pn=N | pp=P | p=P
q: que$=K | qu=K W | q=K
r: rh=R | ^wr=R | rr=R | r=R
s: ssion=SH AH N | sion(?<=[aeiou]sion)=ZH AH N | sion=SH AH N | sure=ZH ER | sch=S K | sh=SH | sc(?=[iey])=S |
   ss=S | sm$=Z AH M | s(?<=[aeiou]s)(?=[aeiou])=Z | s(?<=[bdglmnrvw]s)$=Z | s(?<=[aeiouy]s)$=Z | s=S
t: tion=SH AH N | tial=SH AH L | tious=SH AH S | tient=SH AH N T | ture=CH ER | tch=CH | th(?=er|e$|at|is|ey|em)=DH |
   th=TH | tt=T | t(?=le$)=T | t=T
u: ure=Y UH R | ur=ER | uy=AY | ue$=UW | ui=UW | u(?=[bcdfgklmnpstvz](?:e|es|ed|er)$)=UW | ^un=AH N | ^uni=Y UW N IH |
   u(?<=[bcfhmp]u)(?=[bcdlmnprst][aeiou])=Y UW | u(?=[bcdlmnprst][aeiou])=UW | u$=UW | ull$=UH L | ul$=AH L | u=AH
v: v=V
w: ^wh(?=o)=HH | wh=W | wr=R | w=W
x: ^x=Z | x=K S
y: ^y=Y | y(?<=^.y)$=AY | y(?<=^..y)$=AY | y$=IY | y(?=[bcdfgklmnpstvz]e$)=AY | y=IH
z: zz=Z | z=Z
"""


@lru_cache(maxsize=1)
def _dictionary() -> dict[str, str]:
    lines = lzma.decompress(DICTIONARY.read_bytes()).decode("ascii").splitlines()
    return dict(line.split(" ") for line in lines if not line.startswith("#"))


@lru_cache(maxsize=1)
def _rules() -> dict[str, list[tuple[re.Pattern[str], list[str]]]]:
    out: dict[str, list[tuple[re.Pattern[str], list[str]]]] = {}
    for line in re.split(r"\n(?=[a-z]: )", _RULES.strip()):
        letter, _, body = line.partition(": ")
        for rule in re.split(r"\s\|\s", body):
            pattern, _, phonemes = rule.strip().rpartition("=")
            out.setdefault(letter, []).append((re.compile(pattern), phonemes.split()))
    return out


def apply_rules(word: str) -> list[str]:
    """Return the phonemes (ARPAbet) of a word by letter-to-sound rules, without the dictionary.

    Args:
        word: letters a to z.

    Examples:
        >>> from audiogan.inputs.spoken.english import apply_rules
        >>> apply_rules("nation")
        ['N', 'EY', 'SH', 'AH', 'N']
    """
    out, place = [], 0
    while place < len(word):
        for pattern, phonemes in _rules().get(word[place], []):
            if found := pattern.match(word, place):
                out += phonemes
                place = max(found.end(), place + 1)
                break
        else:
            place += 1
    return out


def _look_up(word: str) -> list[str] | None:
    """Return the phonemes (ARPAbet) of a word, of its stem with an ending, or of a compound of two words."""
    codes = {code: name for name, code in CODES.items()}
    found = _dictionary().get(word)
    if found is not None:
        return [codes[code] for code in found]
    for ending in ("'s", "s"):
        if word.endswith(ending) and (stem := _dictionary().get(word[: -len(ending)])):
            phonemes = [codes[code] for code in stem]
            if phonemes[-1] in ("S", "Z", "SH", "ZH", "CH", "JH"):
                return [*phonemes, "IH", "Z"]
            return [*phonemes, "S" if phonemes[-1] in ("P", "T", "K", "F", "TH") else "Z"]
    if word.endswith("ing") and (stem := _dictionary().get(word[:-3]) or _dictionary().get(word[:-3] + "e")):
        return [*(codes[code] for code in stem), "IH", "NG"]
    for cut in range(len(word) - 3, 2, -1):  # A compound of two words, such as "voicemail".
        front, back = _dictionary().get(word[:cut]), _dictionary().get(word[cut:])
        if front and back:
            return [codes[code] for code in front + back]
    return None


def pronounce_english(word: str) -> list[str]:
    """Return the phonemes of an English word, as symbols of the International Phonetic Alphabet.

    A word that is not in the dictionary is spelled letter by letter if it has only one letter, has no vowel, or has at
    most five letters, all of them capital.

    Examples:
        >>> from audiogan.inputs.spoken.english import pronounce_english
        >>> pronounce_english("through")
        ['θ', 'ɹ', 'u']
    """
    plain = "".join(c for c in unicodedata.normalize("NFD", word.lower()) if c == "'" or c.isascii())
    letters = plain.replace("'", "")
    if not letters:
        return []
    phonemes = _look_up(plain)
    if phonemes is None and (
        len(letters) == 1 or (word.isupper() and len(letters) <= 5) or not set(letters) & set("aeiouy")
    ):
        phonemes = " ".join(LETTER_NAMES[c] for c in letters).split()
    if phonemes is None:
        phonemes = apply_rules(letters)
    return [ARPABET[phoneme] for phoneme in phonemes]
