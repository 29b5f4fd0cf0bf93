import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

from genegraph import GeneGraph, read_biogrid, read_stringdb
from genegraph.datasets import simulate

TAB3 = Path(__file__).parents[1] / "data" / "BIOGRID-ALL-4.4.240.tab3.txt"
CHANNELS = ["neighborhood", "fusion", "cooccurence", "coexpression", "experiments", "database"]


def genes_in(table):
    return set(table["gene_a"]) | set(table["gene_b"])


def pairs_in(table):
    return set(zip(table["gene_a"], table["gene_b"], strict=True))


def string_rows(study):
    with gzip.open(study.links, "rt") as stream:
        return pd.read_csv(stream, sep=" ")


@pytest.fixture(scope="module")
def table(study):
    return read_stringdb(study.links, study.info)


@pytest.mark.parametrize("min_score", [400, 700])
def test_string_joins_exactly_the_interacting_genes(study, min_score):
    var = read_h5ad(study.cells).var
    table = read_stringdb(study.links, study.info, min_score=min_score)
    assert genes_in(table) == set(var.index[var["interacting"]])
    assert len(genes_in(table)) == 80


def test_low_scores_add_as_many_pairs_of_any_genes(study, table):
    everything = read_stringdb(study.links, study.info, min_score=150)
    assert len(everything) == 2 * len(table)
    assert len(genes_in(everything)) > 200
    faint = everything[everything["score"] < 0.4]
    assert len(faint) == len(table)
    assert not pairs_in(faint) & pairs_in(table)


def test_recomputing_the_score_gives_the_score_of_the_file(study):
    given = read_stringdb(study.links, study.info, min_score=0)
    again = read_stringdb(study.links, study.info, min_score=0, channels=[*CHANNELS, "textmining"])
    assert again["score"].tolist() == given["score"].tolist()


@pytest.mark.parametrize("channels", [CHANNELS, ["experiments", "database"]])
def test_edges_need_no_text_mining(study, table, channels):
    again = read_stringdb(study.links, study.info, min_score=700, channels=channels)
    assert pairs_in(again) == pairs_in(table)


def test_links_have_the_columns_directions_and_order_of_string(study):
    rows = string_rows(study)
    assert rows.columns.tolist() == [
        *("protein1", "protein2", "neighborhood", "neighborhood_transferred", "fusion"),
        *("cooccurence", "homology", "coexpression", "coexpression_transferred", "experiments"),
        *("experiments_transferred", "database", "database_transferred", "textmining"),
        *("textmining_transferred", "combined_score"),
    ]
    assert rows["protein1"].str.fullmatch(r"9606\.ENSP\d{11}").all()
    forward = list(zip(rows["protein1"], rows["protein2"], strict=True))
    assert forward == sorted(set(forward))
    assert {(b, a) for a, b in forward} == set(forward)


def test_info_names_every_gene(study):
    info = pd.read_csv(study.info, sep="\t")
    assert info.columns.tolist() == [
        *("#string_protein_id", "preferred_name", "protein_size", "annotation"),
    ]
    assert info["preferred_name"].tolist() == read_h5ad(study.cells).var_names.tolist()


def test_biogrid_has_half_of_the_edges_and_nothing_else(study, table):
    biogrid = read_biogrid(study.biogrid)
    assert pairs_in(biogrid) < pairs_in(table)
    assert len(biogrid) == (len(table) + 1) // 2
    assert set(biogrid["publications"]) == set(range(1, 9))


def test_biogrid_rows_that_must_be_left_out_are_there(study, table):
    dropped = read_biogrid(study.biogrid).attrs["dropped"]
    few = round(0.05 * len(table)) + 1
    assert dropped == {"another organism": few, "not physical": few}
    genetic = read_biogrid(study.biogrid, system="genetic")
    assert not pairs_in(genetic) & pairs_in(table)


def test_biogrid_has_the_columns_of_tab3(study):
    header = study.biogrid.read_text().split("\n", 1)[0]
    assert header == TAB3.read_text().split("\n", 1)[0]
    assert len(header.split("\t")) == 37


def test_the_graph_takes_the_genes_of_the_cells(study, table):
    graph = GeneGraph.from_interactions(table, genes=read_h5ad(study.cells).var_names)
    report = graph.report()
    assert (report.genes, report.interacting, report.edges_kept) == (300, 80, len(table))
    # Modules of about 20 are nearly complete; none has more partners than members.
    assert 10 < report.degree_median < 25


def test_another_species_shares_no_name(tmp_path, small, study):
    mouse = simulate(tmp_path / "mouse", **small, taxon=10090)
    assert mouse.links.name == "10090.protein.links.full.v12.0.txt.gz"
    assert mouse.biogrid.name == "BIOGRID-ORGANISM-Mus_musculus-4.4.240.tab3.txt"
    links = read_stringdb(mouse.links, mouse.info)
    assert links.attrs["taxon"] == 10090
    assert pairs_in(read_biogrid(mouse.biogrid, taxon=10090)) < pairs_in(links)
    assert genes_in(links) <= set(read_h5ad(mouse.cells).var_names)
    assert not genes_in(links) & set(read_h5ad(study.cells).var_names)
    # The rows across species name the genes as the other species does.
    assert b"\tSIM0" in mouse.biogrid.read_bytes()


def test_graph_signal_is_the_share_of_edges_within_modules(tmp_path, small):
    share, degrees, counts = {}, [], []
    for signal in (0, 0.5, 1):
        study = simulate(tmp_path / str(signal), **small, graph_signal=signal)
        table = read_stringdb(study.links, study.info)
        cells = read_h5ad(study.cells)
        module = cells.var["module"].astype(str)
        same = module[table["gene_a"]].to_numpy() == module[table["gene_b"]].to_numpy()
        share[signal] = same.mean()
        degrees.append(pd.concat([table["gene_a"], table["gene_b"]]).value_counts().sort_index())
        counts.append(cells.X.toarray())
    # With four modules a rewired edge stays within one by chance in about a quarter of the cases.
    assert share[1] == 1
    assert share[0] == pytest.approx(0.28, abs=0.08)
    assert share[0.5] == pytest.approx(0.5 + 0.5 * share[0], abs=0.08)
    assert degrees[0].equals(degrees[1])
    assert degrees[1].equals(degrees[2])
    assert np.array_equal(counts[0], counts[1])
    assert np.array_equal(counts[1], counts[2])
