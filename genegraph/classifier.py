"""The estimator: cells and a graph in, cell types out."""

from __future__ import annotations

import numbers
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from genegraph.batches import CellRows, cell_inputs, cell_loader
from genegraph.classifier_cells import ReadCells, in_use, read_query, read_training
from genegraph.classifier_checks import check_options, fingerprint_of
from genegraph.expression import is_anndata, labels_from_obs
from genegraph.graph import GeneGraph
from genegraph.head_statistics import settle_head_input
from genegraph.nn import Autoencoder, GeneGCN
from genegraph.persistence import load_model, save_model
from genegraph.recipe import Recipe
from genegraph.resampling import ResampledCells
from genegraph.splitting import split_validation

if TYPE_CHECKING:
    from anndata import AnnData

PRETRAINING = "adam"
"""The autoencoder's optimiser, as in the write-up."""


class GeneGCNClassifier(ClassifierMixin, BaseEstimator):
    r"""Names cell types from expression, with a gene graph as prior knowledge.

    A gene's count :math:`c` in a cell of :math:`T` reads is shrunk towards what its neighbours in
    the prior say, the more the shallower the cell, before the logarithm:

    .. math::
        x = \log\Big(1 + 10^3\, \frac{c + \kappa A c / T}{T + \kappa}\Big)

    With attention, with ``num_layers``, or where counts are not to be had, :math:`x` is then
    smoothed over graphs of its genes and added to itself.  A fully connected head classifies the
    cell:

    .. math::
        x \leftarrow x + \mathrm{relu}(G x W), \qquad
        G = G_\mathrm{attention}(x) + A, \qquad
        P(\text{type} \mid x) = \mathrm{softmax}(\mathrm{head}(x))

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
            :class:`~genegraph.nn.GraphShrinkage`.  None: the graph enters after the logarithm
            only.
        num_layers: Graph layers in a row.  None: 1, and 0 where there is shrinkage and no
            attention: there another layer was found to add nothing.
        num_graphs: Graphs side by side.
        residual: Add the original expression to the smoothed one; False classifies the smoothed
            one alone.
        norm: Keep what is smoothed from drowning the original, see
            :class:`~genegraph.nn.GeneGCN`; None does so where there are several layers.
        init: How the layer's W starts, ``"absolute"`` or ``"uniform"`` (the write-up's, which
            leaves the layer dead in half of all seeds), see :class:`~genegraph.nn.GeneGraphConv`.
        n_top_genes: The head reads so many genes, those that vary most over the training cells
            after smoothing; the graph joins all.  None: all.
        hidden_channels: Sizes of the head's hidden layers.
        pretrain: Start the head from an autoencoder's encoder; ``"frozen"`` keeps it as it is
            and trains what comes after it.
        values: What the numbers are.  ``"counts"``: raw counts, normalised here to 10,000 per
            cell and log1p.  ``"log1p"``: that already.  ``"features"``: taken as they are.
            ``"auto"``: recognised for an AnnData (an error if in doubt), features for arrays.
        depth: Column of ``obs`` with each cell's total count, for ``"log1p"`` values that do not
            show it by themselves.
        optimizer: ``"sgd"`` or ``"adam"`` (the write-up's), see
            :class:`~genegraph.recipe.Recipe`.
        lr: Learning rate; None takes the optimiser's default.
        weight_decay: L2 penalty of the layer that reads the genes; None likewise.
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
        verbose: Show a progress bar (on terminals).
        trainer_options: Further arguments of Lightning's Trainer (precision, devices, strategy,
            logger); they are not saved with the model.

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
        target_sum_: What log1p values were found to be normalised to, or None.

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
        hidden_channels: Sequence[int] = (128,),
        pretrain: bool | Literal["frozen"] = False,
        values: str = "auto",
        depth: str | None = None,
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
        self.pretrain = pretrain
        self.values = values
        self.depth = depth
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
        self.verbose = verbose
        self.trainer_options = trainer_options

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        layer: str | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
    ) -> GeneGCNClassifier:
        """Learns to name the cell types.

        Args:
            X: An AnnData (in memory or backed), or cells x genes as array, DataFrame or scipy
                sparse matrix.
            y: The label of each cell; with an AnnData also the name of a column of ``obs``.
            layer: The AnnData layer that holds the values; None takes ``X``.
            checkpoint_dir: Folder for checkpoints; a fit that was interrupted goes on from there.
                Without an integer ``random_state`` the seed then follows from cells and settings.

        Returns:
            The estimator itself.

        Raises:
            KeyError: If the AnnData has no such column or layer.
            TypeError: If an argument has the wrong kind.
            ValueError: If values, labels, genes or options are not as they must be.
        """
        check_options(self)
        self._recipe(0)  # refuses settings of training that cannot be
        cells, labels = read_training(self, X, y, layer)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        codes = codes.astype(np.int64)
        if len(self.classes_) < 2:
            raise ValueError(
                f"'y' must hold at least 2 classes (got 1 class: {self.classes_.tolist()[0]!r})."
            )
        self._align_graph()
        cells = in_use(self, cells)
        # A fit that may be resumed must draw the same again: without a seed, one from its content.
        fingerprint = "" if checkpoint_dir is None else fingerprint_of(self, cells, codes)
        seeded = isinstance(self.random_state, numbers.Integral) or checkpoint_dir is None
        rng = check_random_state(self.random_state if seeded else int(fingerprint[:8], 16))
        fraction = 0.0 if self.patience is None else self.validation_fraction
        train, val = split_validation(codes, fraction, rng)
        if self.patience is not None and len(val) == 0:
            warnings.warn(
                "No class has cells enough to set any aside, so training runs to its end.",
                stacklevel=2,
            )
        with torch.random.fork_rng():
            seed = int(rng.randint(2**31 - 1))
            torch.manual_seed(seed)
            folder = None if checkpoint_dir is None else Path(checkpoint_dir)
            checkpoint = {"checkpoint_dir": folder, "fingerprint": fingerprint}
            self._train(cells, codes, train, val, seed, checkpoint)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Returns the probability of each class, ``[num_cells, num_classes]``."""
        check_is_fitted(self)
        cells = read_query(self, X)
        device = self._torch_device()
        network = self.network_.to(device).eval()
        edges = self._edges(device)
        parts = []
        with torch.inference_mode():
            for batch in cell_loader(CellRows(cells.X, depth=cells.depth), self.batch_size):
                x, depth = cell_inputs(batch, device)
                parts.append(network(x, *edges, depth).softmax(dim=1).cpu())
        self.network_.cpu()
        proba: NDArray[np.float32] = torch.cat(parts).numpy()
        return proba

    def predict(self, X: Any) -> NDArray[Any]:
        """Returns the most probable class of each cell."""
        check_is_fitted(self)
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Returns the share of cells named rightly; ``y`` as in :meth:`fit`."""
        labels = labels_from_obs(X, y) if is_anndata(X) and isinstance(y, str) else y
        return float(accuracy_score(labels, self.predict(X), sample_weight=sample_weight))

    def annotate(self, adata: AnnData, key: str = "genegraph") -> None:
        """Writes the predictions into an AnnData, in place.

        Args:
            adata: The cells to name.
            key: Writes ``obs[key]`` (categorical), ``obs[key + "_confidence"]`` (probability of
                the named class) and ``obsm[key + "_proba"]`` (a DataFrame, one column a class).
        """
        check_is_fitted(self)
        if not is_anndata(adata):
            raise TypeError(f"'adata' must be an AnnData (got {type(adata).__name__}).")
        proba = self.predict_proba(adata)
        named = pd.Categorical(self.classes_[proba.argmax(axis=1)], categories=self.classes_)
        adata.obs[key] = pd.Series(named, index=adata.obs_names)
        adata.obs[key + "_confidence"] = proba.max(axis=1)
        columns = [str(label) for label in self.classes_]
        adata.obsm[key + "_proba"] = pd.DataFrame(proba, index=adata.obs_names, columns=columns)

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
        tags.input_tags.positive_only = self._smooths()
        return tags

    def _smooths(self) -> bool:
        """Whether there is any graph layer."""
        return self.graph is not None or self.attention is not None

    def _num_layers(self) -> int:
        if not self._smooths():
            return 0
        if self.num_layers is not None:
            return self.num_layers
        return 0 if self.counted_ and self.attention is None else 1

    def _recipe(self, seed: int, optimizer: str | None = None) -> Recipe:
        return Recipe(
            optimizer=optimizer or self.optimizer,
            lr=None if optimizer else self.lr,
            weight_decay=None if optimizer else self.weight_decay,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            seed=seed,
        )

    def _align_graph(self) -> None:
        """Sets ``graph_`` and the columns in use."""
        self.graph_: GeneGraph | None = None
        self._aligned: GeneGraph | None = None  # what is saved: before normalisation
        self._columns: NDArray[np.int64] | None = None
        if self.graph is None:
            return
        if hasattr(self, "feature_names_in_"):
            graph = self.graph.align([str(name) for name in self.feature_names_in_])
        elif self.graph.num_genes == self.n_features_in_:
            graph = self.graph
        else:
            raise ValueError(
                "X has no gene names, so the graph must have its columns in order: "
                f"{self.n_features_in_} genes (got {self.graph.num_genes}). Pass a DataFrame or "
                "an AnnData to match by name."
            )
        self._aligned = graph
        if self.genes == "interacting":
            place = {gene: i for i, gene in enumerate(graph.genes)}
            graph = graph.interacting()
            self._columns = np.array([place[gene] for gene in graph.genes])
        if self.normalize is not None or self.self_loops:
            graph = graph.normalize(self.normalize, self_loops=self.self_loops)
        self.graph_ = graph

    def _build(self, num_genes: int) -> GeneGCN:
        top = self.n_top_genes
        return GeneGCN(
            num_genes,
            len(self.classes_),
            hidden_channels=tuple(self.hidden_channels),
            attention=self.attention,
            attention_function=self.attention_function,
            num_neighbors=self.num_neighbors,
            fusion=self.fusion,
            num_layers=self._num_layers(),
            num_graphs=self.num_graphs,
            residual=self.residual,
            norm=self.norm,
            init=self.init,
            gene_aware=self.gene_aware,
            kappa=self.shrinkage if self.counted_ else None,
            head_features=num_genes if top is None else min(top, num_genes),
        )

    def _train(
        self,
        cells: ReadCells,
        codes: NDArray[np.int64],
        train_rows: NDArray[np.int64],
        val_rows: NDArray[np.int64],
        seed: int,
        checkpoint: dict[str, Any],
    ) -> None:
        from genegraph.training import CellTypeTask, RestoreTask, train  # imports matplotlib

        chosen = cells.take(train_rows)
        training = CellRows(chosen.X, codes[train_rows], chosen.depth)
        validation = None
        if len(val_rows):
            watched = cells.take(val_rows)
            validation = CellRows(watched.X, codes[val_rows], watched.depth)
        recipe = self._recipe(seed)
        options: dict[str, Any] = {
            "device": self._accelerator(),
            "verbose": self.verbose,
            "trainer_options": self.trainer_options,
        }
        self.network_ = self._build(int(cells.X.shape[1]))
        device = self._torch_device()
        settle_head_input(self.network_, training, self._edges(device), recipe, device)
        if self.pretrain:
            coder = Autoencoder(len(self.network_.head_input.columns), tuple(self.hidden_channels))
            restore = RestoreTask(
                coder, self._recipe(seed, PRETRAINING), self.graph_, self.network_
            )
            train(restore, training, validation, **options)
            self.network_.init_from(coder, freeze=self.pretrain == "frozen")
        if chosen.depth is not None:
            training = ResampledCells(chosen.X, codes[train_rows], chosen.depth, seed)
        task = CellTypeTask(
            self.network_, recipe, self.graph_, self._class_weight(codes[train_rows])
        )
        train(task, training, validation, **options, **checkpoint)
        self.history_ = task.history
        self.n_iter_ = len(task.history)

    def _edges(self, device: torch.device) -> tuple[Any, Any]:
        if self.graph_ is None:
            return None, None
        return self.graph_.to_edge_index().to(device), self.graph_.edge_weight.to(device)

    def _class_weight(self, codes: NDArray[np.int64]) -> torch.Tensor | None:
        if self.class_weight is None:
            return None
        weight = compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[codes]
        )
        return torch.as_tensor(weight, dtype=torch.float32)

    def _accelerator(self) -> str:
        return {"cuda": "gpu"}.get(self.device, self.device)

    def _torch_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)
