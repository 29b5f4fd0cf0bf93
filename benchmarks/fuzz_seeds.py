"""Small valid files of every kind that genegraph reads, made by code: where fuzzing starts from."""

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.checkpoint_io import SafeCheckpointIO

GENES = [f"G{i}" for i in range(6)]
SEEDS: dict[str, list[bytes]] = {}
"""The seeds of each target, once they are made."""
MODEL: list[GeneGCNClassifier] = []
"""The model that predicts changed cells."""
LABELS = np.repeat(["B cell", "T cell"], 15)
LINKS = """protein1 protein2 combined_score
9606.ENSP1 9606.ENSP2 901
9606.ENSP2 9606.ENSP1 901
9606.ENSP2 9606.ENSP3 400
9606.ENSP3 9606.ENSP4 1000
"""
FULL = """protein1 protein2 homology experiments experiments_transferred textmining combined_score
9606.ENSP1 9606.ENSP2 0 300 45 900 930
9606.ENSP2 9606.ENSP3 700 0 0 500 501
"""
INFO = """#string_protein_id\tpreferred_name\tprotein_size\tannotation
9606.ENSP1\tTP53\t393\tCellular tumor antigen
9606.ENSP2\tMDM2\t491\tE3 ubiquitin
9606.ENSP3\tNA\t10\t-
9606.ENSP4\tCD3D\t171\tT-cell surface
"""
ALIASES = """#string_protein_id\talias\tsource
9606.ENSP1\tTP53\tEnsembl_HGNC_symbol
9606.ENSP1\tENSG00000141510\tEnsembl_gene
9606.ENSP1\t7157\tEnsembl_HGNC_entrez_id
9606.ENSP2\tMDM2\tEnsembl_HGNC_symbol
9606.ENSP3\tCD4\tEnsembl_HGNC_symbol
9606.ENSP4\tCD3D\tEnsembl_HGNC_symbol UniProt_GN_Name
"""
OLD_ALIASES = """## string_protein_id ## alias ## source ##
9606.ENSP1\tTP53\tBioMart_HUGO Ensembl_HGNC
9606.ENSP2\tMDM2\tBioMart_HUGO
"""
EXPORT = """#node1\tnode2\tnode1_string_id\tnode2_string_id\t\
experimentally_determined_interaction\tcombined_score
TP53\tMDM2\t9606.ENSP1\t9606.ENSP2\t0.9\t0.999
MDM2\tCD4\t9606.ENSP2\t9606.ENSP3\t0\t0.4
"""
API = """stringId_A\tstringId_B\tpreferredName_A\tpreferredName_B\tncbiTaxonId\tscore\tescore
9606.ENSP1\t9606.ENSP2\tTP53\tMDM2\t9606\t0.999\t0.9
"""
MITAB = """#ID Interactor A\tID Interactor B\tAlt IDs Interactor A\tInteraction Detection Method
entrez gene/locuslink:6416\tentrez gene/locuslink:2318\tbiogrid:112315\tpsi-mi:"MI:0018"(two hybrid)
"""
EDGES = 'gene_a,gene_b,score\nTP53,MDM2,0.9\n"CD3D",CD3E,1\nMDM2,TP53,5e-1\nA,A,0\n'
NAMES = "mouse\thuman\tentrez\nCd3d\tCD3D\t915\nCd4\tCD4\t920\nTrp53|P53\tTP53\t7157\n"
TAB3 = [
    "#BioGRID Interaction ID",
    "Entrez Gene Interactor A",
    "Entrez Gene Interactor B",
    "Systematic Name Interactor A",
    "Systematic Name Interactor B",
    "Official Symbol Interactor A",
    "Official Symbol Interactor B",
    "Synonyms Interactor A",
    "Synonyms Interactor B",
    "Experimental System Type",
    "Publication Source",
    "Organism ID Interactor A",
    "Organism ID Interactor B",
    "Throughput",
]


def biogrid_table(tab2: bool = False) -> str:
    """Three experiments in BioGRID's TAB3, or in its TAB2."""
    header = list(TAB3)
    if tab2:
        header = [name.replace("Organism ID", "Organism") for name in header]
        header[header.index("Publication Source")] = "Pubmed ID"
    paper = "1535557" if tab2 else "PUBMED:1535557"
    rest = ["physical", paper, "9606", "9606", "High Throughput|Low Throughput"]
    ids = [("7157", "4193", "TP53", "MDM2"), ("4193", "920", "MDM2", "CD4")]
    rows = [
        [str(i), a, b, "-", "-", first, second, "P53|LFS1", "-", *rest]
        for i, (a, b, first, second) in enumerate(ids)
    ]
    return "\n".join("\t".join(row) for row in [header, *rows, rows[0]]) + "\n"


def zipped(*tables: tuple[str, str]) -> bytes:
    """A zip of named texts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in tables:
            archive.writestr(name, table)
    return file.getvalue()


def plain_and_packed(*texts: str) -> list[bytes]:
    """Each text as it is, and the first one gzipped."""
    return [text.encode() for text in texts] + [gzip.compress(texts[0].encode(), mtime=0)]


def biogrid_zips() -> list[bytes]:
    """Releases of one organism, and of two."""
    table = biogrid_table()
    name = "BIOGRID-ORGANISM-{}-5.0.261.tab3.txt"
    human, mouse = name.format("Homo_sapiens"), name.format("Mus_musculus")
    return [zipped(("BIOGRID-ALL-5.0.261.tab3.txt", table)), zipped((human, table), (mouse, table))]


def small_graph() -> GeneGraph:
    """Six genes in a ring."""
    pairs = pd.DataFrame({"gene_a": GENES, "gene_b": GENES[1:] + GENES[:1], "score": 0.5})
    return GeneGraph.from_interactions(pairs, GENES)


def small_cells() -> AnnData:
    """Thirty cells of two types."""
    rates = np.where((LABELS == "T cell")[:, None], [8, 8, 1, 1, 1, 3], [1, 1, 8, 8, 1, 3])
    X = np.random.default_rng(0).poisson(rates).astype("float32")
    obs = pd.DataFrame({"cell_type": LABELS}, index=[f"c{i}" for i in range(len(X))])
    obs["depth"] = X.sum(axis=1)
    obs["batch"] = pd.Categorical(np.where(np.arange(len(X)) % 2, "a", "b"))
    return AnnData(csr_matrix(X), obs=obs, var=pd.DataFrame(index=GENES))


def small_model(**settings: object) -> GeneGCNClassifier:
    """A model of the small cells."""
    small = {"hidden_channels": (3,), "num_heads": 2, "max_epochs": 1, "random_state": 0}
    model = GeneGCNClassifier(**{"graph": small_graph(), "verbose": False, **small, **settings})
    return model.fit(small_cells(), "cell_type")


def written(write: Callable[[Path], object]) -> bytes:
    """What was written to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()


def graph_files() -> list[bytes]:
    """A graph as it is, and one normalised."""
    graph = small_graph()
    return [written(graph.save), written(graph.normalize("sym", self_loops=True).save)]


def model_files() -> list[bytes]:
    """Models with the prior alone, without a graph, and with each kind of attention."""
    several = [{}, {"graph": None}, {"attention": "full"}, {"attention": "edges"}]
    several += [
        {"attention": "shared", "fusion": "gate", "num_neighbors": 3},
        {"genes": "interacting"},
    ]
    return [written(small_model(**settings).save) for settings in several]


def checkpoint_files() -> list[bytes]:
    """A checkpoint as training writes it."""
    with tempfile.TemporaryDirectory() as folder:
        small = {"hidden_channels": (3,), "num_heads": 2, "max_epochs": 1, "random_state": 0}
        model = GeneGCNClassifier(small_graph(), verbose=False, **small)
        model.fit(small_cells(), "cell_type", checkpoint_dir=folder)
        path = next(path for path in Path(folder).iterdir() if path.suffix == ".ckpt")
        assert "state_dict" in SafeCheckpointIO().load_checkpoint(path)
        return [path.read_bytes()]


def h5ad_files() -> list[bytes]:
    """Cells with a sparse and with a dense matrix."""
    sparse = small_cells()
    dense = AnnData(sparse.X.toarray(), obs=sparse.obs, var=sparse.var)
    dense.layers["counts"] = sparse.X.copy()
    return [written(cells.write_h5ad) for cells in (sparse, dense)]


def records() -> list[bytes]:
    """What is kept beside a download."""
    known = {"file": "links", "sha256": "0" * 64, "date": "2026-01-01", "origin": "https://x"}
    return [json.dumps(known).encode()]
