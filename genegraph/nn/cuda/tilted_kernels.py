"""The steps of :mod:`genegraph.nn.cuda.tilted`: one program for each part of a cell."""

import triton
import triton.language as tl

NUM_STATISTICS = tl.constexpr(6)
"""Of a segment: lowest and highest slope and key; log-weight and number of those at zero."""

NUM_STATES = tl.constexpr(7)
"""Of a slope: itself; x, y, u of the heaviest key; mean of x less that; sum of weights; share."""


@triton.jit
def collect(
    s, x, y, u, u_cell, u_gene, a, c, k, keys, counts, statistics, num_genes, plane,
    SCALAR: tl.constexpr, SEGMENT: tl.constexpr,
):  # fmt: skip
    """Writes the keys of a segment one after another, and what the other genes weigh."""
    dtype: tl.constexpr = keys.dtype.element_ty
    cell, segment = tl.program_id(0).to(tl.int64), tl.program_id(1)
    num_segments = tl.num_programs(1)
    gene = segment * SEGMENT + tl.arange(0, SEGMENT)
    here = gene < num_genes
    at = cell * num_genes + gene
    x_ = tl.load(x + at, mask=here, other=0.0)
    if SCALAR:
        y_ = x_
        u_ = tl.where(here, -tl.load(k) * x_ * x_, float("-inf"))
        s_ = tl.load(a) * x_ + tl.load(c)
        tl.store(s + at, s_, mask=here)
    else:
        y_ = tl.load(y + at, mask=here, other=0.0)
        u_ = tl.load(u + cell * u_cell + gene * u_gene, mask=here, other=float("-inf"))
        s_ = tl.load(s + at, mask=here, other=0.0)
    is_key = tl.where(x_ != 0, 1, tl.where(y_ != 0, 1, 0))  # a NaN is one
    to = keys + cell * num_segments * SEGMENT + segment * SEGMENT + tl.cumsum(is_key, axis=0) - 1
    tl.store(to, x_, mask=is_key > 0)
    tl.store(to + plane, y_, mask=is_key > 0)
    tl.store(to + 2 * plane, u_, mask=is_key > 0)
    tl.store(counts + cell * num_segments + segment, tl.sum(is_key, axis=0))

    u_ = tl.where(is_key > 0, float("-inf"), u_)
    most = tl.max(u_, axis=0)
    weight = tl.sum(tl.exp(u_ - tl.where(most > float("-inf"), most, 0.0)), axis=0)
    low, high = tl.full((), float("inf"), dtype), tl.full((), float("-inf"), dtype)
    to = statistics + (cell * num_segments + segment) * NUM_STATISTICS
    tl.store(to, tl.min(tl.where(here, s_, low), axis=0))
    tl.store(to + 1, tl.max(tl.where(here, s_, high), axis=0))
    tl.store(to + 2, tl.min(tl.where(here, y_, low), axis=0))
    tl.store(to + 3, tl.max(tl.where(here, y_, high), axis=0))
    tl.store(to + 4, most)
    tl.store(to + 5, weight)


@triton.jit
def _plan(
    statistics, cell, num_segments, num_genes, width, NODES: tl.constexpr, SEGMENTS: tl.constexpr
):
    """Whether pieces are panels, how many, lowest slope, half-width; extreme keys; zero's u."""
    dtype: tl.constexpr = statistics.dtype.element_ty
    segment = tl.arange(0, SEGMENTS)
    here = segment < num_segments
    at = statistics + (cell * num_segments + segment) * NUM_STATISTICS
    low = tl.min(tl.load(at, mask=here, other=float("inf")), axis=0)
    high = tl.max(tl.load(at + 1, mask=here, other=float("-inf")), axis=0)
    lowest = tl.min(tl.load(at + 2, mask=here, other=float("inf")), axis=0)
    highest = tl.max(tl.load(at + 3, mask=here, other=float("-inf")), axis=0)
    u = tl.load(at + 4, mask=here, other=float("-inf"))
    most = tl.max(u, axis=0)
    weight = tl.load(at + 5, mask=here, other=0.0) * tl.exp(u - tl.where(most > u, most, u))
    of_zero = most + tl.log(tl.sum(weight, axis=0))
    of_zero = tl.where(most > float("-inf"), of_zero, float("-inf"))
    # A difference of two numbers may be larger than their type can hold.
    wide_low, wide_high = low.to(tl.float64), high.to(tl.float64)
    spread = (wide_high - wide_low) * (highest.to(tl.float64) - lowest.to(tl.float64))
    needed = tl.ceil(spread / (2 * width) - 1e-9)
    few = tl.maximum(needed, 1.0) * NODES * 2 <= num_genes
    is_panels = tl.where(needed >= 0, few.to(tl.int32), 0)  # not so for a NaN
    needed = tl.where(is_panels > 0, tl.maximum(needed, 1.0), 1.0)
    pieces = tl.where(is_panels > 0, needed.to(tl.int32), tl.cdiv(num_genes, NODES))
    half = tl.maximum((wide_high - wide_low) / (2 * needed), 1e-200)
    return is_panels, pieces, wide_low, half, lowest.to(dtype), highest.to(dtype), of_zero


@triton.jit
def _moments(
    slope, lowest, highest, of_zero, keys, counts, plane, num_segments,
    NODES: tl.constexpr, KEYS: tl.constexpr, SEGMENT: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    """The heaviest key at each slope; mean of x less its own, covariance, sum of weights."""
    # Measured from an extreme key, differences at steep slopes are exact.
    origin = tl.where(slope >= 0, highest, lowest)
    best = tl.full((NODES, KEYS), float("-inf"), DTYPE)
    of_best = tl.zeros((NODES, KEYS), tl.int32)
    for segment in range(num_segments):
        count = tl.load(counts + segment)
        for first in range(0, count, KEYS):
            key = first + tl.arange(0, KEYS)
            here, key = key < count, segment * SEGMENT + key
            y_ = tl.load(keys + plane + key, mask=here, other=0.0)
            u_ = tl.load(keys + 2 * plane + key, mask=here, other=float("-inf"))
            exponent = slope[:, None] * (y_[None, :] - origin[:, None]) + u_[None, :]
            higher = exponent > best
            best = tl.where(higher, exponent, best)
            of_best = tl.where(higher, key[None, :], of_best)
    most = tl.max(best, axis=1)
    heaviest = tl.max(tl.where(best == most[:, None], of_best, 0), axis=1)
    is_zero = of_zero - slope * origin > most
    is_key = most > float("-inf")
    x_top = tl.load(keys + heaviest, mask=is_key, other=0.0)
    y_top = tl.load(keys + plane + heaviest, mask=is_key, other=0.0)
    u_top = tl.load(keys + 2 * plane + heaviest, mask=is_key, other=0.0)
    x_top, y_top = tl.where(is_zero, 0.0, x_top), tl.where(is_zero, 0.0, y_top)
    u_top = tl.where(is_zero, of_zero, u_top)

    z = tl.zeros((NODES, KEYS), DTYPE)
    zx = tl.zeros((NODES, KEYS), DTYPE)
    zy = tl.zeros((NODES, KEYS), DTYPE)
    zxy = tl.zeros((NODES, KEYS), DTYPE)
    for segment in range(num_segments):
        count = tl.load(counts + segment)
        for first in range(0, count, KEYS):
            key = first + tl.arange(0, KEYS)
            here, key = key < count, segment * SEGMENT + key
            x_ = tl.load(keys + key, mask=here, other=0.0)
            y_ = tl.load(keys + plane + key, mask=here, other=0.0)
            u_ = tl.load(keys + 2 * plane + key, mask=here, other=float("-inf"))
            dx, dy = x_[None, :] - x_top[:, None], y_[None, :] - y_top[:, None]
            weight = tl.exp(slope[:, None] * dy + (u_[None, :] - u_top[:, None]))
            weight_dx = weight * dx
            z += weight
            zx += weight_dx
            zy += weight * dy
            zxy += weight_dx * dy
    weight = tl.exp((of_zero - u_top) - slope * y_top)
    total = tl.sum(z, axis=1) + weight
    mean = (tl.sum(zx, axis=1) - weight * x_top) / total
    of_y = (tl.sum(zy, axis=1) - weight * y_top) / total
    cov = (tl.sum(zxy, axis=1) + weight * x_top * y_top) / total - mean * of_y
    return x_top, y_top, u_top, mean, cov, total


@triton.jit
def nodes(
    s, keys, counts, statistics, nodes, to_coefficients, values, states, pieces_of, slopes_of,
    num_genes, num_states, plane, width, num_segments,
    KEEP: tl.constexpr, NODES: tl.constexpr, KEYS: tl.constexpr, SEGMENT: tl.constexpr,
    SEGMENTS: tl.constexpr,
):  # fmt: skip
    """Sums over the keys at the slopes of every piece: values, or coefficients of a panel."""
    dtype: tl.constexpr = values.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    kind, pieces, low, half, lowest, highest, of_zero = _plan(
        statistics, cell, num_segments, num_genes, width, NODES, SEGMENTS
    )
    if tl.program_id(1) == 0:
        tl.store(pieces_of + 2 * cell, kind)
        tl.store(pieces_of + 2 * cell + 1, pieces)
        tl.store(slopes_of + 2 * cell, low)
        tl.store(slopes_of + 2 * cell + 1, half)
    s, keys, counts = (
        s + cell * num_genes,
        keys + cell * num_segments * SEGMENT,
        counts + cell * num_segments,
    )
    lane = tl.arange(0, NODES)
    node = tl.load(nodes + lane)
    matrix = tl.load(to_coefficients + lane[:, None] * NODES + lane[None, :]).to(dtype)
    for piece in range(tl.program_id(1), pieces, tl.num_programs(1)):
        mine = piece * NODES + lane
        own = tl.load(s + mine, mask=(mine < num_genes) & (kind == 0), other=0.0)
        slope = tl.where(kind > 0, (low + half * (2 * piece + 1 + node)).to(dtype), own)
        x_top, y_top, u_top, mean, cov, total = _moments(
            slope, lowest, highest, of_zero, keys, counts, plane, num_segments,
            NODES, KEYS, SEGMENT, dtype,
        )  # fmt: skip
        of_x = x_top + mean
        at = cell * num_states + mine
        if KEEP:
            tl.store(states + NUM_STATES * at, slope)
            tl.store(states + NUM_STATES * at + 1, x_top)
            tl.store(states + NUM_STATES * at + 2, y_top)
            tl.store(states + NUM_STATES * at + 3, u_top)
            tl.store(states + NUM_STATES * at + 4, mean)
            tl.store(states + NUM_STATES * at + 5, total)
        if kind > 0:
            of_x = tl.sum(matrix * of_x[None, :], axis=1)
            cov = tl.sum(matrix * cov[None, :], axis=1)
        tl.store(values + 2 * at, of_x)
        tl.store(values + 2 * at + 1, cov)


@triton.jit
def _place(s, low, half, pieces, DTYPE: tl.constexpr):
    """The panel of each slope, and where in it, from -1 to 1; a NaN stays one."""
    s = s.to(tl.float64)
    panel = tl.minimum(tl.maximum(((s - low) / (2 * half)).to(tl.int32), 0), pieces - 1)
    t = (s - (low + (2 * panel + 1) * half)) / half
    return panel, tl.where(t > 1, 1.0, tl.where(t < -1, -1.0, t)).to(DTYPE)


@triton.jit
def interpolate(
    s, values, pieces_of, slopes_of, out, cov, num_genes, num_states,
    NODES: tl.constexpr, GENES: tl.constexpr,
):  # fmt: skip
    """Gives each gene its mean and covariance, from its panel or as they are."""
    dtype: tl.constexpr = out.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    gene = tl.program_id(1) * GENES + tl.arange(0, GENES)
    here, at = gene < num_genes, cell * num_genes + gene
    values = values + 2 * cell * num_states
    kind, pieces = tl.load(pieces_of + 2 * cell), tl.load(pieces_of + 2 * cell + 1)
    if kind > 0:
        low, half = tl.load(slopes_of + 2 * cell), tl.load(slopes_of + 2 * cell + 1)
        panel, t = _place(tl.load(s + at, mask=here, other=0.0), low, half, pieces, dtype)
        coefficients = values + 2 * NODES * panel
        m0 = tl.zeros((GENES,), dtype)
        m1 = tl.zeros((GENES,), dtype)
        c0 = tl.zeros((GENES,), dtype)
        c1 = tl.zeros((GENES,), dtype)
        for k in tl.static_range(NODES - 1, 0, -1):  # Clenshaw's sums
            m0, m1 = tl.load(coefficients + 2 * k) + 2 * t * m0 - m1, m0
            c0, c1 = tl.load(coefficients + 2 * k + 1) + 2 * t * c0 - c1, c0
        tl.store(out + at, tl.load(coefficients) + t * m0 - m1, mask=here)
        tl.store(cov + at, tl.load(coefficients + 1) + t * c0 - c1, mask=here)
    else:
        tl.store(out + at, tl.load(values + 2 * gene, mask=here), mask=here)
        tl.store(cov + at, tl.load(values + 2 * gene + 1, mask=here), mask=here)


@triton.jit
def shares(
    s, g, pieces_of, slopes_of, to_coefficients, states, num_genes, num_states,
    NODES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Writes what each node receives of the genes' gradients, over its sum of weights."""
    dtype: tl.constexpr = states.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    s, g = s + cell * num_genes, g + cell * num_genes
    kind, pieces = tl.load(pieces_of + 2 * cell), tl.load(pieces_of + 2 * cell + 1)
    low, half = tl.load(slopes_of + 2 * cell), tl.load(slopes_of + 2 * cell + 1)
    lane = tl.arange(0, NODES)
    for piece in range(tl.program_id(1), pieces, tl.num_programs(1)):
        mine = piece * NODES + lane
        received = tl.load(g + mine, mask=(mine < num_genes) & (kind == 0), other=0.0)
        if kind > 0:
            coefficients = tl.zeros((NODES,), dtype)
            for first in range(0, num_genes, KEYS):
                gene = first + tl.arange(0, KEYS)
                here = gene < num_genes
                slope = tl.load(s + gene, mask=here, other=0.0)
                panel, t = _place(slope, low, half, pieces, dtype)
                inside = here & (panel == piece)
                if tl.sum(inside.to(tl.int32), axis=0) > 0:
                    now = tl.load(g + gene, mask=inside, other=0.0)
                    after = now * t
                    for k in tl.static_range(NODES):  # g T_k(t), by the recursion of T
                        coefficients += tl.where(lane == k, tl.sum(now, axis=0), 0.0)
                        now, after = after, 2 * t * after - now
            matrix = tl.load(to_coefficients + lane[:, None] * NODES + lane[None, :]).to(dtype)
            received = tl.sum(matrix * coefficients[:, None], axis=0)
        at = NUM_STATES * (cell * num_states + mine)
        tl.store(states + at + 6, received / tl.load(states + at + 5))


@triton.jit
def of_keys(
    x, y, u, u_cell, u_gene, k, pieces_of, states, of_x, of_y, of_u, num_genes, num_states,
    SCALAR: tl.constexpr, NODES: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """Adds up what a key receives from the nodes of all pieces."""
    dtype: tl.constexpr = of_x.dtype.element_ty
    cell = tl.program_id(0).to(tl.int64)
    key = tl.program_id(1) * KEYS + tl.arange(0, KEYS)
    here, at = key < num_genes, cell * num_genes + key
    x_ = tl.load(x + at, mask=here, other=0.0)
    if SCALAR:
        y_, u_ = x_, -tl.load(k) * x_ * x_
    else:
        y_ = tl.load(y + at, mask=here, other=0.0)
        u_ = tl.load(u + cell * u_cell + key * u_gene, mask=here, other=0.0)
    to_x = tl.zeros((KEYS,), dtype)
    to_y = tl.zeros((KEYS,), dtype)
    to_u = tl.zeros((KEYS,), dtype)
    lane = tl.arange(0, NODES)
    for piece in range(tl.load(pieces_of + 2 * cell + 1)):
        state = states + NUM_STATES * (cell * num_states + piece * NODES + lane)
        slope, x_top, y_top = tl.load(state), tl.load(state + 1), tl.load(state + 2)
        u_top, mean, share = tl.load(state + 3), tl.load(state + 4), tl.load(state + 6)
        dy = y_[None, :] - y_top[:, None]
        weight = tl.exp(slope[:, None] * dy + (u_[None, :] - u_top[:, None]))
        p = share[:, None] * weight
        pull = p * ((x_[None, :] - x_top[:, None]) - mean[:, None])
        to_x += tl.sum(p, axis=0)
        to_y += tl.sum(pull * slope[:, None], axis=0)
        to_u += tl.sum(pull, axis=0)
    tl.store(of_x + at, to_x, mask=here)
    tl.store(of_y + at, to_y, mask=here)
    tl.store(of_u + at, to_u, mask=here)


@triton.jit
def of_slopes(x, g, cov, g_cell, g_gene, sums, num_genes, SEGMENT: tl.constexpr):
    """Adds up what a cell's genes send to a and c, segment by segment."""
    cell, segment = tl.program_id(0).to(tl.int64), tl.program_id(1)
    gene = segment * SEGMENT + tl.arange(0, SEGMENT)
    here, at = gene < num_genes, cell * num_genes + gene
    upstream = tl.load(g + cell * g_cell + gene * g_gene, mask=here, other=0.0).to(tl.float64)
    of_slope = upstream * tl.load(cov + at, mask=here, other=0.0)
    to = sums + 2 * (cell * tl.num_programs(1) + segment)
    tl.store(to, tl.sum(of_slope * tl.load(x + at, mask=here, other=0.0), axis=0))
    tl.store(to + 1, tl.sum(of_slope, axis=0))
