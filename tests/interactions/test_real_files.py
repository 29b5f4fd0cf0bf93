"""Real files, read where they are laid beside the repository."""

from pathlib import Path

import numpy as np
import pytest

from genegraph.interactions import read_biogrid, read_edges, read_stringdb

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
STRING = SHARED / "string"
FULL = STRING / "9606.protein.links.full.v12.0.subset.txt.gz"
INFO = STRING / "9606.protein.info.v12.0.subset.txt.gz"
DETAILED = STRING / "9606.protein.links.detailed.v11.0.sample10k.txt.gz"
ALIASES = STRING / "9606.protein.aliases.v11.0.sample10k.tsv.gz"
BIOGRID = SHARED / "biogrid"
CHANNELS = ["neighborhood", "fusion", "cooccurence", "coexpression", "experiments", "database"]

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the real STRING and BioGRID files are not beside the repository"
)


@pytest.mark.parametrize(("min_score", "num_pairs"), [(0, 156_625), (700, 116_822), (900, 64_531)])
def test_full_links_have_the_known_number_of_edges(min_score, num_pairs):
    table = read_stringdb(FULL, INFO, min_score=min_score)
    assert len(table) == num_pairs
    assert (table["gene_a"] < table["gene_b"]).all()
    assert table.attrs["dropped"].keys() <= {f"score below {min_score}"}


def test_recomputed_scores_agree_with_those_of_the_file():
    # Whoever made this file combined the channels with the correction for homology.
    given = read_stringdb(FULL, INFO, min_score=0)
    again = read_stringdb(FULL, INFO, min_score=0, channels=CHANNELS, homology_correction=True)
    assert again[["gene_a", "gene_b"]].equals(given[["gene_a", "gene_b"]])
    assert np.abs(again["score"] - given["score"]).max() < 0.0011


def test_recomputed_scores_of_version_11_agree_with_the_file():
    channels = ["experimental" if name == "experiments" else name for name in CHANNELS]
    given = read_stringdb(DETAILED, min_score=0)
    again = read_stringdb(DETAILED, min_score=0, channels=[*channels, "textmining"])
    assert again[["gene_a", "gene_b"]].equals(given[["gene_a", "gene_b"]])
    assert np.abs(again["score"] - given["score"]).max() < 0.0021


@pytest.mark.parametrize(
    ("name", "num_pairs"), [("alzheimer", 120), ("large", 703), ("oldformat", 10)]
)
def test_exports_read_and_their_channels_give_their_score(name, num_pairs):
    path = STRING / f"string_interactions_export_{name}.tsv"
    given = read_stringdb(path)
    assert len(given) == num_pairs
    channels = [
        "neighborhood_on_chromosome",
        "gene_fusion",
        "phylogenetic_cooccurrence",
        "coexpression",
        "experimentally_determined_interaction",
        "database_annotated",
        "automated_textmining",
    ]
    again = read_stringdb(path, min_score=0, channels=channels)
    assert np.abs(again["score"] - given["score"]).max() < 0.0021


def test_aliases_of_version_11_name_what_they_can():
    with pytest.warns(UserWarning, match="name a protein without a symbol"):
        table = read_stringdb(DETAILED, aliases=ALIASES, min_score=0)
    assert list(table.itertuples(index=False, name=None)) == [("CDK4", "PTEN", 0.784)]
    assert table.attrs["filters"]["names_from"] == "Ensembl_HGNC"


def test_biogrid_tab3_and_tab2_samples():
    human = read_biogrid(BIOGRID / "biogrid_tab3_real_50rows.tab3.txt")
    assert len(human) == 17
    yeast = BIOGRID / "biogrid_tab2_real_sample200.tab2.txt"
    assert len(read_biogrid(yeast, taxon=559292, system=None)) == 160
    with pytest.raises(ValueError, match=r"559292 \(199\)"):
        read_biogrid(yeast)


def test_unscored_symbol_pairs():
    table = read_edges(STRING / "string_pathfindR_mouse_symbols.tsv.gz")
    assert set(table["score"]) == {1.0}
    assert table.attrs["rows_read"] == 122_042
