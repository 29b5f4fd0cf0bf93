"""The estimator: cells and a graph in, cell types out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from genegraph.annotation import UNKNOWN, Limits, check_voters, name_cells, vote
from genegraph.batches import CellRows
from genegraph.checkpoint_folder import open_folder
from genegraph.classifier_adapt import adapted
from genegraph.classifier_cells import (
    check_thinning,
    in_use,
    read_groups,
    read_query,
    read_training,
    warn_of_depth,
)
from genegraph.classifier_checks import check_classes, check_options
from genegraph.classifier_fit import fit_network, recipe_of
from genegraph.classifier_network import align_graph, ask, first_view, smooths
from genegraph.classifier_unlabeled import read_unlabeled
from genegraph.colors import GREY, class_colors
from genegraph.expression import check_anndata, is_anndata, labels_from_obs
from genegraph.graph import GeneGraph
from genegraph.persistence import load_model, save_model
from genegraph.reliability import Reliability
from genegraph.version import __version__

if TYPE_CHECKING:
    from anndata import AnnData


class GeneGCNClassifier(ClassifierMixin, BaseEstimator):
    r"""Names cell types from expression, with a gene graph as prior knowledge.

    A gene's count :math:`c` in a cell of :math:`T` reads is shrunk towards what its neighbours in
    the prior say, the more the shallower the cell, before the logarithm:

    .. math::
        x = \log\Big(1 + 10^3\, \frac{c + \kappa A c / T}{T + \kappa}\Big)

    With attention or ``num_layers``, :math:`x` is then smoothed over graphs of its genes and added
    to itself.  Several fully connected heads and a linear discriminant :math:`D` classify the cell
    together:

    .. math::
        x \leftarrow x + \mathrm{relu}(G x W), \qquad
        G = G_\mathrm{attention}(x) + A, \qquad
        P(\text{type} \mid x) = \mathrm{softmax}\Big(
            \frac{1}{\tau} \Big( D(x) + \frac{1}{M} \sum_m \mathrm{head}_m(x) \Big) \Big)

    The heads are kept from a part of the training cells each; what they say of those settles how
    much :math:`D` counts, and :math:`\tau`, so that of the cells named with 90 % confidence about
    90 % are named rightly.

    Args:
        graph: The prior :math:`A`, a :class:`~genegraph.GeneGraph`; it is aligned to the genes of
            the cells.  None leaves the prior out.
        genes: ``"all"``, or ``"interacting"`` to use only genes with an edge.
        attention: ``"full"``, over all genes of a cell; ``"edges"``, over each gene's neighbours;
            ``"shared"``, one graph for all cells from learned embeddings of the genes, whose
            neighbours are chosen again every epoch; None leaves the prior alone.
        attention_function: ``"embedded_dot"``, ``"dot"``, ``"gaussian"`` or (over edges)
            ``"additive"``; formulas in :class:`~genegraph.nn.GeneGraphConv`.
        num_neighbors: Neighbours of each gene with ``attention="shared"``.
        fusion: ``"sum"`` or ``"gate"``, see :class:`~genegraph.nn.GeneGraphConv`.
        normalize: How the graph's weights are scaled, see :meth:`genegraph.GeneGraph.normalize`:
            ``"sym"``, ``"row"``, ``"max"`` (the write-up's; hubs then swamp the cell) or None.
        self_loops: Give each gene an edge to itself.
        gene_aware: Attention with a slope, a key and a weight of its own for each gene: the
            form that can learn which gene listens to which.
        shrinkage: Where the cells are counts, or logarithms that show them: strength of the prior
            before the logarithm, in reads, to begin with; see
            :class:`~genegraph.nn.GraphShrinkage`.  Where counts cannot be had, a warning says so,
            and the graph is not used.  None: the graph enters after the logarithm only.
        num_layers: Graph layers in a row.  None: 1 where there is attention, where
            ``shrinkage=None``, or where values are features; else 0, as a layer after the logarithm
            was found to add nothing by itself.
        num_graphs: Graphs side by side.
        residual: Add the original expression to the smoothed one; False classifies the smoothed
            one alone.
        norm: Keep what is smoothed from drowning the original, see
            :class:`~genegraph.nn.GeneGCN`; None does so where there are several layers.
        init: How the layer's W starts, ``"absolute"`` or ``"uniform"`` (the write-up's, which
            leaves the layer dead in half of all seeds), see :class:`~genegraph.nn.GeneGraphConv`.
        n_top_genes: The head reads so many genes, those that vary most over the training cells
            (100,000 of them, drawn by chance, where there are more) after smoothing; the graph
            joins all.  None: all.
        hidden_channels: Sizes of each head's hidden layers.
        num_heads: Heads that name a cell together, each kept from its share of the training cells,
            by which the probabilities are calibrated.  From counts and without graph layers they
            read the cell differently: with ``shrinkage`` and ten times that, in reads per 1,000
            and 10,000.  1 holds nothing out and calibrates only on the cells of ``patience``.
        discriminant: Let a linear discriminant (shrunk, see :mod:`genegraph.discriminants`) speak
            beside the heads, as much as serves the cells that they are kept from; mostly rare
            types gain.  It needs several heads and takes all classes for equally frequent, so no
            ``class_weight``.  None: where these are so.
        pretrain: Start the heads from an autoencoder's encoder; ``"frozen"`` keeps it as it is
            and trains what comes after it.
        values: What the numbers are.  ``"counts"``: raw counts, normalised here to 10,000 per
            cell and log1p.  ``"log1p"``: that already.  ``"features"``: taken as they are.
            ``"auto"``: recognised for an AnnData (an error if in doubt), features for arrays.
        depth: Column of ``obs`` with each cell's total count, for ``"log1p"`` values that do not
            show it by themselves.
        thin_to: Reads (counts, in all genes) of the median cell that is to be named, where that is
            much shallower than the training cells: these are then met as if they had been
            sequenced as little, each read kept with the same probability, other ones each time, and
            calibrated so.  The least and the most, ``(100, 2000)``, where queries of several depths
            are to be named: each time a cell is met with a number between, drawn evenly by its
            logarithm.  Where training cells have no more reads, nothing changes.  None: all reads;
            or, where ``unlabeled`` cells have less than half of them, as many as these.
        optimizer: ``"sgd"`` or ``"adam"`` (the write-up's), see
            :class:`~genegraph.recipe.Recipe`.
        lr: Learning rate; None takes the optimiser's default.
        weight_decay: L2 penalty of the layer that reads the genes; None: the fewer cells the more,
            see :class:`~genegraph.recipe.Recipe`.
        batch_size: Cells per step.
        max_epochs: Passes over the training cells; None: 20, and more where cells are few, so
            that 700 steps are taken (200 epochs at most).
        validation_fraction: With ``patience``, the share of each class set aside to watch
            training; a class too small to share stays in training.
        patience: Stop after so many epochs without a better validation loss, and keep the best
            epoch's weights.  None trains on all cells to the end: the one-cycle schedule ends
            near its best by itself, and the cells set aside would be missed.
        class_weight: ``"balanced"``, a dict from label to weight, or None.
        max_missing: Largest share of the training genes that query cells may lack.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        random_state: Seed of everything random.
        deterministic: Have torch train with algorithms that give the same bits again on a GPU, or
            raise a RuntimeError where it has none; slower.  The CPU always does, whatever this is.
        verbose: Show a progress bar (on terminals).
        trainer_options: Further arguments of Lightning's Trainer (precision, devices, strategy,
            logger); they are not saved with the model.  With several devices ``batch_size`` counts
            the cells of all of them, and ``random_state`` must be an integer.

    Attributes:
        classes_: The cell types, sorted.
        n_features_in_: Number of genes given to fit.
        feature_names_in_: Their names, where they have any.
        graph_: The graph in use, aligned and normalised, or None.
        network_: The trained :class:`~genegraph.nn.GeneGCN`.
        history_: One dict per epoch: losses and accuracies.
        n_iter_: Epochs trained.
        values_: What the numbers were found to be.
        layer_: The AnnData layer used.
        counted_: Whether the cells are taken as counts, so that ``shrinkage`` applies.
        median_depths_: The least and the most reads that the median training cell was met with,
            labelled ones once thinned; None where cells are not counts.
        target_sum_: What log1p values were found to be normalised to, or None.
        temperature_: :math:`\tau`, by which the logits are divided; 1 where nothing was held out.
        held_out_: The cells of fit (by position) that were held out, with ``label``,
            ``predicted`` and ``confidence`` by the heads that have not learned from them; or None.
        novelty_: The :class:`~genegraph.novelty.Novelty`: what cells of the known types look like.
        types_: The :class:`~genegraph.adaptation.TypeMeans`: what the heads read of each type.
        adapted_: None; of what :meth:`adapt` returns, how many ``cells`` it was adapted to, how
            many of them were taken to be of a ``known`` type, how large the ``shift`` was, in units
            of the spread of cells within their types, and the ``slope``, how far types are apart
            by how far they were in the reference.

    Example:
        >>> import numpy as np
        >>> from genegraph import GeneGCNClassifier, GeneGraph
        >>> X = np.array([[9.0, 0.0, 1.0], [0.0, 9.0, 1.0]] * 20)
        >>> graph = GeneGraph(["A", "B", "C"], [[0, 2], [2, 0]])
        >>> model = GeneGCNClassifier(graph, hidden_channels=(8,), random_state=0, verbose=False)
        >>> model.fit(X, ["T", "B"] * 20).predict([[9.0, 0.0, 1.0]]).tolist()
        ['T']
    """

    def __init__(
        self,
        graph: GeneGraph | None = None,
        *,
        genes: str = "all",
        attention: str | None = None,
        attention_function: str = "embedded_dot",
        num_neighbors: int = 16,
        fusion: str = "sum",
        normalize: Literal["max", "sym", "row"] | None = "sym",
        self_loops: bool = False,
        gene_aware: bool = False,
        shrinkage: float | None = 100.0,
        num_layers: int | None = None,
        num_graphs: int = 1,
        residual: bool = True,
        norm: bool | None = None,
        init: str = "absolute",
        n_top_genes: int | None = 4000,
        hidden_channels: Sequence[int] = (64,),
        num_heads: int = 6,
        discriminant: bool | None = None,
        pretrain: bool | Literal["frozen"] = False,
        values: str = "auto",
        depth: str | None = None,
        thin_to: float | tuple[float, float] | None = None,
        optimizer: str = "sgd",
        lr: float | None = None,
        weight_decay: float | None = None,
        batch_size: int = 64,
        max_epochs: int | None = None,
        validation_fraction: float = 0.1,
        patience: int | None = None,
        class_weight: str | dict[Any, float] | None = None,
        max_missing: float = 0.2,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        deterministic: bool = False,
        verbose: bool = True,
        trainer_options: dict[str, Any] | None = None,
    ) -> None:
        self.graph = graph
        self.genes = genes
        self.attention = attention
        self.attention_function = attention_function
        self.num_neighbors = num_neighbors
        self.fusion = fusion
        self.normalize = normalize
        self.self_loops = self_loops
        self.gene_aware = gene_aware
        self.shrinkage = shrinkage
        self.num_layers = num_layers
        self.num_graphs = num_graphs
        self.residual = residual
        self.norm = norm
        self.init = init
        self.n_top_genes = n_top_genes
        self.hidden_channels = hidden_channels
        self.num_heads = num_heads
        self.discriminant = discriminant
        self.pretrain = pretrain
        self.values = values
        self.depth = depth
        self.thin_to = thin_to
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.class_weight = class_weight
        self.max_missing = max_missing
        self.device = device
        self.random_state = random_state
        self.deterministic = deterministic
        self.verbose = verbose
        self.trainer_options = trainer_options

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        unlabeled: Any = None,
        layer: str | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
    ) -> GeneGCNClassifier:
        """Learns to name the cell types.

        A file larger than memory: an AnnData opened with ``read_h5ad(path, backed="r")``, or one
        whose ``X`` is ``anndata.io.sparse_dataset(group)`` of a zarr store.  A CSR or dense matrix
        that would need more than 256 MiB stays on disk.  Each epoch reads it once, in blocks of
        consecutive cells (4 MiB); blocks drawn from all over the file are shuffled together, 256
        MiB at a time, the next 256 MiB being read meanwhile.  So the order of cells is not quite
        as random as in memory, where all are shuffled together, and shallow cells are resampled
        with cells that are in memory at the time.  Everything else is the same: all cells are
        checked, and held out in turn.  Labels and what is found of each cell (its depth, its
        probabilities) are in memory.  Read into memory all the same are CSC matrices, views of a
        backed AnnData, and, by AnnData itself, the layers of a backed h5ad file.

        Args:
            X: An AnnData (in memory or on disk), or cells x genes as array, DataFrame or scipy
                sparse matrix.
            y: The label of each cell; with an AnnData also the name of a column of ``obs``.
            groups: The donor, lane or batch of each cell, or the name of a column of ``obs``: the
                cells of one group are then held out together, for calibration and for ``patience``.
                Cells of one donor resemble each other: confidence that is to hold for new donors
                must be measured on donors not learned from.
            unlabeled: Cells without labels to learn from too, given as ``X`` is: further cells of
                the same study, or those that are to be named.  They help where labels are few, and
                where technology or depth are not those of the labelled cells; all of one technology
                and depth.  Where they are much shallower, labelled cells are thinned to their
                depth, see ``thin_to``.  The network is trained twice, the second time also on what
                the first, adapted to them as :meth:`adapt` does, says of each such cell, together
                with the cell's neighbours (the 15 nearest in the principal components of what the
                heads read) as far as these have helped with labelled cells.  What a head is told of
                them comes from no label that it is kept from.  50,000 cells are used, drawn by
                chance where there are more.  See ``docs/few_labels.md`` for what that gives, and
                where it gives nothing.
            layer: The AnnData layer that holds the values; None takes ``X``, and ``"raw"``, where
                no layer is called so, ``adata.raw`` with its own genes. Cells to be named are read
                from there too.
            checkpoint_dir: Folder for checkpoints, the last two; a fit that was interrupted goes on
                from there, to the same weights.  Without an integer ``random_state`` the seed
                then follows from cells and settings.  Ctrl-C ends training after its step, with
                or without a folder, and leaves a fitted model of what was learned by then.

        Returns:
            The estimator itself.

        Raises:
            FloatingPointError: If the loss is no longer a number.  The estimator is fitted all the
                same, with the best weights, unless that was in the first epoch.
            KeyError: If the AnnData has no such column or layer.
            OSError: If no file can be written to ``checkpoint_dir``.  Where that ends later,
                training goes on, with a warning.
            TypeError: If an argument has the wrong kind.
            ValueError: If values, labels, genes or options are not as they must be.
            torch.OutOfMemoryError: If a batch does not fit onto the device.  After the first step
                the estimator is fitted all the same, with what was learned.
        """
        check_options(self)
        recipe_of(self, 0)  # refuses settings of training that cannot be
        folder = None if checkpoint_dir is None else open_folder(checkpoint_dir)
        cells, labels = read_training(self, X, y, layer)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        codes = codes.astype(np.int64)
        check_classes(self.classes_)
        theirs = read_groups(X, groups, len(codes))
        align_graph(self)
        cells = in_use(self, cells)
        others = None if unlabeled is None else read_unlabeled(self, cells, unlabeled)
        check_thinning(self, cells)
        fit_network(self, cells, codes, theirs, others, folder)
        return self

    def adapt(self, X: Any) -> GeneGCNClassifier:
        r"""Returns a classifier for cells of another technology or depth, learned without labels.

        Chemistry, protocol and depth change all types alike by much the same.  So what a cell's
        heads read, :math:`h`, is moved back by what the query has on average more than the
        reference would, if that were composed of the same types, and stretched as far as its types
        are less apart:

        .. math::
            h \leftarrow \bar h - d + (h - \bar h) / b, \qquad
            d = f \Big( \bar h - \sum_k \pi_k m_k \Big)

        with the reference's mean :math:`m_k` of each type, the query's composition :math:`\pi` as
        the heads find it once adapted, a slope :math:`b`, and a factor :math:`f` from 0 to 1 for
        what chance alone gives, see :func:`genegraph.adaptation.find_adaptation`.  Of a query like
        the reference next to nothing changes, and the less the fewer its cells are.  Cells that
        look like none of the types do not count, so a type that was not learned is still noticed.
        Nothing is known of the query's labels: where most cells are named wrongly to begin with, or
        nearly all are of one type, it can go astray.

        Args:
            X: The cells to be named, given as to :meth:`predict`: the query as a whole, so that
                its composition is that of the query; of more than 4,000 so many are drawn, the
                same each time.  Each technology or batch by itself, where there are several.

        Returns:
            A copy, with ``adapted_`` set, to name these cells and others like them; it can be
            saved.  The estimator itself stays as it is, and is what names cells like the
            reference's.  ``reliability()`` of the copy still tells of those.

        Raises:
            ValueError: As :meth:`predict`.

        Example:
            >>> X, y = np.array([[9.0, 1.0, 9.0], [1.0, 9.0, 9.0]] * 50), ["T", "B"] * 50
            >>> model = GeneGCNClassifier(hidden_channels=(8,), random_state=0, verbose=False)
            >>> query = np.array([[12.0, 6.0, 0.0], [6.0, 12.0, 0.0]] * 50)
            >>> adapted = model.fit(X, y).adapt(query)
            >>> adapted.predict(query[:2]).tolist(), adapted.adapted_["cells"]
            (['T', 'B'], 100)
        """
        check_is_fitted(self)
        return adapted(self, read_query(self, X))

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        r"""Returns the probability of each class, ``[num_cells, num_classes]``.

        They are calibrated: :math:`\mathrm{softmax}(\mathrm{logits} / \tau)` with the
        :math:`\tau` that served the held-out cells best, ``temperature_``.  Several threads may ask
        at once, and spawned or forked processes, of which a forked one works with one thread.
        """
        return self._ask(X)[0]

    def novelty(self, X: Any) -> NDArray[np.float64]:
        """Returns how unlike all known cell types each cell is, in 0 .. 1.

        It is the share of training cells that are nearer to their nearest type: 0.99 says that of
        cells like those learned from, 1 % are as far off.  High where a type was not learned (the
        probabilities do not tell: they share 1 out among the classes), and also where technology
        or depth differ from the training cells'.  The cells of fit themselves look newer than
        others of their kind, as the components were found among them.  See
        :class:`~genegraph.novelty.Novelty`.
        """
        return self._ask(X)[1]

    def predict(
        self,
        X: Any,
        *,
        min_confidence: float | None = None,
        max_error: float | None = None,
        max_novelty: float | None = None,
    ) -> NDArray[Any]:
        """Returns the most probable class of each cell.

        Args:
            X: The cells.
            min_confidence: Name a cell ``"unknown"`` whose class is less probable than this.
            max_error: Likewise, with the lowest probability from which on at most this share of
                names was wrong among the held-out cells, see
                :meth:`~genegraph.reliability.Reliability.min_confidence`.  Holds for cells like
                those learned from, not for types that were not among them.
            max_novelty: Name a cell ``"unknown"`` whose :meth:`novelty` is larger: 0.95 finds types
                that were not learned, at the cost of 5 to 7 % of the cells of those that were.

        Raises:
            ValueError: If ``min_confidence`` and ``max_error`` are both given, or the training
                cells cannot show that.
        """
        limits = self._limits(min_confidence, max_error, max_novelty)
        proba, novelty = self._ask(X)
        new = limits.new(novelty, self.adapted_ is not None)
        return name_cells(proba, self.classes_, limits.unsure(proba, new))

    def reliability(self, X: Any = None, y: Any = None) -> Reliability:
        """Returns what the classifier's confidence is worth.

        Args:
            X: Labelled cells that were not learned from; None: those of fit that were held out.
            y: Their labels, as in :meth:`fit`; a label that is no class counts as named wrongly.

        Raises:
            ValueError: If no cells were held out in fit, or only one of ``X`` and ``y`` is given.

        Example:
            >>> X, y = [[9.0, 0.0], [0.0, 9.0]] * 20, ["T", "B"] * 20
            >>> model = GeneGCNClassifier(hidden_channels=(8,), random_state=0, verbose=False)
            >>> print(model.fit(X, y).reliability())
            40 cells: accuracy 100.0 %, mean confidence 98.8 %, expected calibration error 1.2 %
        """
        check_is_fitted(self)
        if (X is None) != (y is None):
            raise ValueError("'X' and 'y' must be given together, or neither.")
        if X is not None:
            proba = self.predict_proba(X)
            return Reliability.of(
                _labels(X, y), self.classes_[proba.argmax(axis=1)], proba.max(axis=1)
            )
        if self.held_out_ is None:
            raise ValueError(
                "No cells were held out in fit: num_heads=1 and no 'patience'. Fit with the "
                "default number of heads, or pass labelled cells that were not learned from."
            )
        held = self.held_out_
        return Reliability.of(held["label"], held["predicted"], held["confidence"])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Returns the share of cells named rightly; ``y`` as in :meth:`fit`."""
        return float(accuracy_score(_labels(X, y), self.predict(X), sample_weight=sample_weight))

    def annotate(
        self,
        adata: AnnData,
        key: str = "genegraph",
        *,
        min_confidence: float | None = None,
        max_error: float | None = None,
        max_novelty: float | None = None,
        majority_voting: str | None = None,
    ) -> None:
        """Writes the predictions into an AnnData, in place.

        Cells on disk are read as in :meth:`fit`.  The results are in memory, in ``adata.obs`` and
        ``adata.obsm``, until they are written, for example with ``adata.write_h5ad(other_path)``.

        Args:
            adata: The cells to name, in memory or on disk.
            key: Writes ``obs[key]`` (categorical), ``obs[key + "_confidence"]`` (probability of
                the most probable class), ``obs[key + "_novelty"]`` (see :meth:`novelty`),
                ``obsm[key + "_proba"]`` (one column a class), ``uns[key]`` (the ``classes``, in the
                order of the columns, and what named the cells: version, graph, whether adapted,
                limits) and
                ``uns[key + "_colors"]``, as scanpy has it.
            min_confidence: See :meth:`predict`.
            max_error: See :meth:`predict`.
            max_novelty: See :meth:`predict`.
            majority_voting: A column of ``obs`` with clusters, such as ``"leiden"``, or a neighbour
                graph of ``obsp``, such as ``"connectivities"``.  Writes
                ``obs[key + "_majority"]`` too: the class most probable on average among the cells
                of a cell's cluster, or among its neighbours, and ``"unknown"`` where its
                probability is below the least confidence or most of them are too new.

        Raises:
            KeyError: If there is no such column or graph.
            TypeError: If the cells are no AnnData.
            ValueError: As :meth:`predict`.
        """
        check_is_fitted(self)
        check_anndata(adata)
        limits = self._limits(min_confidence, max_error, max_novelty)
        if majority_voting is not None:
            check_voters(adata, majority_voting)
        proba, novelty = self._ask(adata)
        new = limits.new(novelty, self.adapted_ is not None)
        found = {key: name_cells(proba, self.classes_, limits.unsure(proba, new))}
        if majority_voting is not None:
            shared = vote(adata, proba, majority_voting)
            mostly_new = vote(adata, new[:, None].astype(np.float32), majority_voting)[:, 0] > 0.5
            unsure = limits.unsure(shared, mostly_new)
            found[f"{key}_majority"] = name_cells(shared, self.classes_, unsure)
        known = list(self.classes_)
        if limits.any:  # a column holds words or numbers, not both
            known = [*map(str, known), UNKNOWN]
            found = {column: named.astype(str) for column, named in found.items()}
        colors = [*class_colors(len(self.classes_)), GREY][: len(known)]
        for column, named in found.items():
            categories = pd.Categorical(named, categories=known)
            adata.obs[column] = pd.Series(categories, index=adata.obs_names)
            adata.uns[column + "_colors"] = colors
        adata.obs[key + "_confidence"] = proba.max(axis=1)
        adata.obs[key + "_novelty"] = novelty
        # No DataFrame: a file cannot hold a column whose name has a slash, as "CD4+/CD25 T Reg".
        adata.obsm[key + "_proba"] = proba
        adata.uns[key] = {
            "classes": [str(label) for label in self.classes_],
            "genegraph": __version__,
            "graph": "none" if self.graph_ is None else self.graph_.content_hash,
            "adapted": self.adapted_ is not None,
            "min_confidence": limits.min_confidence,
            "max_novelty": limits.max_novelty,
        }

    def _ask(self, X: Any) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Returns probabilities and novelty."""
        check_is_fitted(self)
        cells = read_query(self, X)
        warn_of_depth(self, cells)
        directions = torch.from_numpy(self.novelty_.directions)

        def novelty(read: Tensor) -> Tensor:  # of a batch: places of a million cells fill memory
            places = first_view(read) @ directions.to(read)
            return torch.from_numpy(self.novelty_(places.cpu().numpy()))

        logits, new = ask(
            self,
            CellRows(cells.X, depth=cells.depth),
            self.network_.head,
            novelty,
        )
        if not np.isfinite(logits).all():
            raise ValueError(
                f"The network's answers must be finite (got {(~np.isfinite(logits)).sum():,} NaN "
                "or infinite): values or weights are too large for it. Check that the cells are "
                "of the kind it was fitted on."
            )
        proba: NDArray[np.float32] = softmax(logits / np.float32(self.temperature_), axis=1)
        return proba, new.astype(np.float64)

    def _limits(
        self, min_confidence: float | None, max_error: float | None, max_novelty: float | None
    ) -> Limits:
        check_is_fitted(self)
        if min_confidence is not None and max_error is not None:
            raise ValueError("Only one of 'min_confidence' and 'max_error' can be given.")
        if max_novelty is not None:
            self.novelty_.check(max_novelty)
        threshold = min_confidence or 0.0
        if max_error is not None:
            threshold = self.reliability().min_confidence(max_error)
        limits = Limits(threshold, 1.0 if max_novelty is None else max_novelty)
        limits.check(self.classes_)
        return limits

    def report(
        self,
        adata: AnnData,
        path: str | os.PathLike[str],
        *,
        y: Any = None,
        interactions: pd.DataFrame | bool = True,
        min_confidence: float | None = None,
        max_error: float | None = None,
        max_novelty: float | None = None,
    ) -> None:
        """Writes a report on the classifier and some cells: one HTML file, complete in itself.

        It holds the data as understood, the graph and where it came from, how training went, scores
        per class, confusion, what confidence is worth, unknown cells, the interactions that speak
        for each class, and settings, versions and hashes by which it can be done again.  Nothing
        is fetched when it is opened; links lead to STRING and BioGRID.

        Args:
            adata: The cells to name; ``obsm["X_umap"]`` is drawn where it is there.
            path: The file to write, all of it or nothing; an older one is replaced.
            y: The cells' labels where they are known, as in :meth:`fit`; None: scores are those of
                the cells that were held out in fit.
            interactions: A table of :mod:`genegraph.explain`; True makes it, by
                ``edge_importance``; False leaves interactions out.
            min_confidence: See :meth:`predict`.
            max_error: See :meth:`predict`.
            max_novelty: See :meth:`predict`.

        Raises:
            TypeError: If the cells are no AnnData.
            ValueError: As :meth:`predict`, or if there is not one label per cell.

        Example:
            >>> import anndata, tempfile
            >>> cells = anndata.AnnData(np.array([[9.0, 0.0], [0.0, 9.0]] * 20, dtype="float32"))
            >>> settings = {"hidden_channels": (8,), "random_state": 0, "verbose": False}
            >>> model = GeneGCNClassifier(**settings).fit(cells, np.array(["T", "B"] * 20))
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.report(cells, f"{folder}/report.html")
            ...     os.listdir(folder)
            ['report.html']
        """
        limits = self._limits(min_confidence, max_error, max_novelty)
        from genegraph.report import write_report  # imports matplotlib

        write_report(self, adata, path, y=y, interactions=interactions, limits=limits)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the fitted model into one file: weights, genes, classes, graph, settings.

        The file is safetensors with JSON in its header; no pickle.
        """
        check_is_fitted(self)
        save_model(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GeneGCNClassifier:
        """Reads a model that :meth:`save` wrote; nothing in the file is executed.

        Raises:
            ValueError: If the file is not a model, is damaged, or is from a newer version.
        """
        return load_model(cls, path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = smooths(self)
        return tags


def _labels(X: Any, y: Any) -> Any:
    return labels_from_obs(X, y) if is_anndata(X) and isinstance(y, str) else y
