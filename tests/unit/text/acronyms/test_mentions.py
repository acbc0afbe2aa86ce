import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.text.acronyms.lexicon import Acronym, Lexicon, resolve
from rag_qa.text.acronyms.mentions import find_mentions
from rag_qa.types import Mention

HMICFRS = "Her Majesty's Inspectorate of Constabulary and Fire & Rescue Services"


def defined(text):
    return [(mention.acronym, mention.long_form) for mention in find_mentions(text).defined]


def spelled(text):
    return [(mention.acronym, mention.long_form) for mention in find_mentions(text).spelled]


def used(text):
    return list(find_mentions(text).used)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the College of Policing (CoP) and", ("CoP", "College of Policing")),
        ("the Independent Office for Police Conduct (IOPC).", ("IOPC", "Independent Office for Police Conduct")),
        ("Latin American Women’s Rights Service (LAWRS)", ("LAWRS", "Latin American Women’s Rights Service")),
        ("an Immigration Enforcement (IE) Protocol", ("IE", "Immigration Enforcement")),
        ("for research and development (R&D).", ("R&D", "research and development")),
        ("induced by tumor necrosis factor (TNF) in", ("TNF", "tumor necrosis factor")),
        ("mitochondrial reactive oxygen species (ROS; H2O2) are", ("ROS", "reactive oxygen species")),
        ("patients with odds ratio (OR, 95% CI) of", ("OR", "odds ratio")),
        ("of type 2 diabetes (T2D).", ("T2D", "type 2 diabetes")),
        ("and granulocyte-macrophage colony-stimulating factor (GM-CSF)", "GM-CSF"),
        ("the Securities and Exchange Commission (the “SEC”)", ("SEC", "Securities and Exchange Commission")),
        ("we map The Cancer Genome Atlas (TCGA) data", ("TCGA", "The Cancer Genome Atlas")),
        ("by the National Heart, Lung, and Blood Institute (NHLBI)", "NHLBI"),
        ("the magnetic\nresonance imaging (MRI) of", ("MRI", "magnetic\nresonance imaging")),
        ("the World Health Organization's (WHO) Survey", ("WHO", "World Health Organization")),
    ],
)
def test_a_long_form_before_its_acronym_in_brackets_is_a_definition(text, expected):
    found = defined(text)
    assert [expected] == (found if isinstance(expected, tuple) else [acronym for acronym, _ in found])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("by the IOPC (Independent Office for Police Conduct) in", ("IOPC", "Independent Office for Police Conduct")),
        ("The BMI (body mass index; kg/m2) was", ("BMI", "body mass index")),
        ('the "GMC" ("General Medical Council") said', ("GMC", "General Medical Council")),
        ("CTLs (cytotoxic T lymphocytes) peak", ("CTL", "cytotoxic T lymphocytes")),
    ],
)
def test_a_long_form_in_brackets_behind_its_acronym_is_a_definition(text, expected):
    assert defined(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "the IOPC (the body of independent conduct) in",
        "the IOPC (Independent Office for Police Conduct of England) in",
        "the police (Independent Office for Police Conduct) in",
        "an anti-TNF (tumor necrosis factor) drug",
        "class KDTree(KindDistanceTree):",
        "JS (Jeremiah Senkpiel) wrote it",
    ],
)
def test_brackets_behind_a_word_define_only_what_the_whole_of_them_spells(text):
    assert defined(text) == []


def test_the_s_of_a_plural_is_no_letter_of_an_acronym():
    assert defined("non-governmental organisations (NGOs)") == [("NGO", "non-governmental organisations")]
    assert defined("of brain marrow stem cells (BMSCs)") == [("BMSC", "brain marrow stem cells")]
    assert defined("oxygen and sulphur (OSs)") == [("OS", "oxygen and sulphur")]


@pytest.mark.parametrize(
    "text",
    [
        "for cardiovascular disease (CVD)",
        "the deoxyribonucleic acid (DNA)",
        "the enzyme-linked immunosorbent assay (ELISA)",
        "a messenger RNA (mRNA)",
        "some mitogen-activated protein kinase (MAPK)",
        "an extracellular signal-regulated kinase (ERK)",
        "the human papillomavirus (HPV)",
        "of Medical Subject Headings (MeSH)",
        "the National LambdaRail (NLR)",
        "an electroencephalogram (EEG)",
    ],
)
def test_a_letter_may_come_from_where_an_element_of_a_word_begins(text):
    (_, long_form), *others = defined(text)
    assert text.split(maxsplit=1)[1].startswith(long_form + " (")
    assert not others


@pytest.mark.parametrize(
    "text",
    [
        "as used in us (US)",
        "under the act (the Act)",
        "shown before (see Fig)",
        "by the author (Smith)",
        "in that year (2021)",
        "of the kind (n = 10)",
        "either of two (A)",
        "and parts one and (II)",
        "first inner view (IV)",
        "runs at ten megahertz (10 MHz)",
        "in Indianapolis (IN)",
        "the New York Zoo (NYSE: NYZ)",
        "for plain words (PW.)",
        "we saw plain words (pw)",
        "we saw plain words (Pw)",
        "eleven letters are really too many for an acronym (ELARTMFAAXYZ)",
        "the scores of sequential organ failure (SOFA)",
        "the International Federation of Gynecology and Obstetrics (FIGO)",
        "measured by cytochrome c oxidase (COX)",
        "the effect of convergent extension cell (CE) movements",
        "from arachidonic (AA) and docosahexaenoic (DHA) acids",
        "and infarction (A/I)",
        "it was made into pluripotent stem cells (iPSC)",
        "assembled with the centromere-targeting domain (CATD)",
        "store-operated influx and the CRAC current (ICRAC)",
        "the CPC-conditioned medium (CM)",
        "its homologue LL5alpha (LL5s)",
        "by traditional NIR imaging (NIR-I)",
        "with the transforming growth factor beta1 (TGF-beta)",
        "of the retinoic acid receptor-related orphan receptor (ROR)",
        "of lower-case things ended. We know it (WKI-X)",
        "either (one way) or other ways (OWOW)",
        "a line above\n\nreactive oxygen species\n\n(ROS)",
        "the rats (which are) reactive oxygen (RWARO)",
        "the TNF (TNF)",
        "an AB-CD (ABCD)",
        "the value of cudaStream_t (CUDA)",
        "an optional comment (COM)",
        "(SBS)",
        "plain words(PW)",
    ],
)
def test_what_might_be_wrong_is_no_definition(text):
    assert defined(text) == []


def test_a_word_may_share_its_letter_with_the_next_but_the_last_does_not():
    text = "human bone marrow-derived mesenchymal stem cells (BMSCs)"
    assert defined(text) == [("BMSC", "bone marrow-derived mesenchymal stem cells")]
    assert defined("the fluorescence resonance energy transfer technology (FRET)") == []


def test_nothing_is_taken_where_two_readings_differ():
    assert defined("in trials of Transtheoretical Model (TTM)") == []
    assert defined("cells in cancer-associated cachexia (CAC)") == []


def test_people_are_not_what_their_initials_stand_for():
    assert defined("Two authors, Jane Doe (JD) and Ann B Smith (ABS), read it; Dr. Eve May Moss (EMM) did not.") == []
    assert defined("Professor Ann Mary Smith (AMS) and Anna Jones-Smith (AJ).") == []


def test_a_definition_in_capitals_has_to_be_spelled_as_any_other():
    assert defined("THE SECURITIES AND EXCHANGE COMMISSION (SEC) SAID") == [
        ("SEC", "SECURITIES AND EXCHANGE COMMISSION")
    ]
    assert defined("GOVERNMENT REVIEW INTO DATA SHARING (NEW) PUBLISHED (NOT) TODAY") == []


def test_a_long_form_has_at_most_so_many_words():
    assert defined("beds in the for the rest (BR)") == []
    assert defined("beds for the rest (BR)") == [("BR", "beds for the rest")]


def test_each_pair_is_told_once_where_it_stands_first():
    text = "The stem cells (SC). The stem cells (SC). The Stem Cells (SC)."
    assert find_mentions(text).defined == (Mention("SC", "stem cells", 4, 14), Mention("SC", "Stem Cells", 46, 56))


def test_offsets_are_code_points():
    (mention,) = find_mentions("😀 the body mass index (BMI)").defined
    assert (mention.start, mention.end) == (6, 21)


def test_a_name_spells_the_initials_of_its_words():
    assert spelled(f"a report by {HMICFRS}, the College") == [("HMICFRS", HMICFRS)]
    assert spelled("In The United Kingdom Prospective Diabetes Study we") == [
        ("UKPDS", "United Kingdom Prospective Diabetes Study")
    ]
    assert spelled("the Federal Bureau for Road Safety\nInspection and") == [
        ("FBRSI", "Federal Bureau for Road Safety\nInspection")
    ]
    assert spelled("of Latin American Women's Rights Service's plan") == [
        ("LAWRS", "Latin American Women's Rights Service")
    ]


def test_a_hyphenated_word_of_a_name_is_one_word_or_its_parts():
    assert spelled("an Independent Anti-Slavery Task Force Commissioner") == [
        ("IATFC", "Independent Anti-Slavery Task Force Commissioner"),
        ("IASTFC", "Independent Anti-Slavery Task Force Commissioner"),
    ]
    assert spelled("the Organisation for Economic Co-operation and Open Development") == [
        ("OECOD", "Organisation for Economic Co-operation and Open Development")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "the United States Senate",
        "the Royal Office of Northern\n\nIrish Trade Unions",
        "the Royal Office. Northern Irish Trade",
        "the Royal Office, Northern Irish Trade",
        "the Royal Office of Police and the Northern Irish Trade",
        "GOVERNMENT REVIEW INTO DATA SHARING PRACTICES",
        "the UK Health Security Agency for Work and Pensions",
        "the Long Road Going Home Again (LRG)",
        "No No No No No No",
        "Home Alone Home Again Today",
        "of Applied Algebra, Algebraic Algorithms and Error-Correcting Codes",
        "One Two Three Four Five Six Seven Eight Nine Ten Eleven",
    ],
)
def test_what_is_no_single_name_of_five_letters_spells_nothing(text):
    assert spelled(text) == []


def test_acronyms_of_five_letters_are_used_also_as_handles():
    assert used("We asked HMICFRS, LAWRS's staff and two NGOFFs. @IOPCX said #BLACKLIVES to USS.") == [
        "BLACKLIVES",
        "HMICFRS",
        "IOPCX",
        "LAWRS",
        "NGOFF",
    ]


def test_words_in_capitals_are_not_used_as_acronyms_in_a_headline_or_where_they_are_words():
    assert used("GOVERNMENT REVIEW INTO DATA SHARING\nThe police said so.") == []
    assert used("DATA SHARING REVIEWED. The police asked HMICFRS for it.") == ["HMICFRS"]
    assert used("This must NEVER be so: we never agreed. Kalayaan or KALAYAAN.") == []
    assert used("Fill in XXXXX here.") == []
    assert used(" ".join(f"WORD{chr(65 + number % 26)}" for number in range(100_000))) == []


def test_a_name_that_is_written_out_is_no_acronym():
    assert defined("AmericaCorps (AmeriCorps) was founded.") == []
    assert defined("small interfering RNA (siRNA) was used.") == [("siRNA", "small interfering RNA")]


WORDS = [
    "(",
    ")",
    " ",
    "(SBS)",
    "SBS",
    "Sisters",
    "black",
    "of",
    "the",
    "\n",
    "-",
    ".",
    "’s",
    "&",
    "HIV-1",
    "(CoP)",
    "İß",
]


@given(st.lists(st.sampled_from([*WORDS, " Southall Black", " Sisters (SBS) ", "College of Policing "]), max_size=40))
def test_mentions_stand_where_they_say(parts):
    text = "".join(parts)
    found = find_mentions(text)
    for mention in (*found.defined, *found.spelled):
        assert text[mention.start : mention.end] == mention.long_form
    lexicon = Lexicon(resolve([("a", found)]))
    expanded, replaced = lexicon.expand(text)
    assert bool(replaced) or expanded == text


@pytest.mark.parametrize(
    "text",
    [
        "((((" * 10_000,
        "( a" * 20_000,
        "A" * 100_000,
        "Aa-" * 50_000,
        "Aa'" * 50_000,
        "Aa of of of of " * 10_000,
        "Word " * 30_000,
        "." * 100_000,
        " \n" * 50_000,
        "AB (" + "x" * 100_000 + ")",
        "ab (AB) " * 2_000,
        "a-a-a-a-a a-a-a-a (AAAAAAAAAA) " * 100,
    ],
)
def test_no_text_is_slow(text):
    find_mentions(text)
    Lexicon([Acronym("AB", "Alpha Beta", "a", 0, 10)]).expand(text[:1000])
