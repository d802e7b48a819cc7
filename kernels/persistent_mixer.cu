// The whole mixer in a cluster of blocks that stays: it waits for windows in the host's memory and
// answers each with its results, weights resident in shared memory, until it has been idle for too
// long.
//
// All warps share out the columns of every product, so that x, [16 tokens, D], stays in their
// registers from the embedding to the heads, and token mixing needs no other warp. They meet four
// times a block: for both norms, and for the inputs of both channel products, [16, K] halves. What
// others need of a warp it writes into the shared memory of every block of the cluster.
// `fragments.py` lays the model out, so that a warp reads its weights in the order in which it
// multiplies, and names the constants; `warp_primitives.cu` comes before this file. The plain
// reference is `model/mixer.py`.

constexpr int LANES = 32, THREADS = WARPS * LANES;  // of a block
constexpr int ALL_WARPS = CLUSTER * WARPS, COLUMNS = 8 * ALL_WARPS;
constexpr int OWN_D = D / CLUSTER, OWN_E = E / CLUSTER;  // columns of a block
constexpr int TOKENS = 16, END = 2;  // END: an order, beside the two paths
// 8 columns of a product each, and how many of them a warp has; N_TILES of the heads.
constexpr int X_TILES = D / COLUMNS, U_TILES = E / COLUMNS;
constexpr int X_WORDS = KF / 16 * X_TILES / 4;
constexpr int PATCH = WINDOW / TOKENS, SEGMENTS = SEGMENT ? WINDOW / SEGMENT : 0;
constexpr int MOMENTS = SEGMENT ? 4 : 2;
constexpr int ROW_GROUPS = THREADS / CP, ROWS = (WINDOW + ROW_GROUPS - 1) / ROW_GROUPS;
constexpr int VECTORS_BLOCK = 6 * OWN_D + 2 * TE + 2 * TOKENS + 2 * OWN_E;
constexpr int CHANNELS_BLOCK = OWN_D * E;  // bytes of the channel mixing's weights, of a block of the mixer
constexpr int SKEW = 8;  // halves between rows, so that the same column of all rows lies in all banks

struct Activations {  // and whatever else a window needs while it is worked on
    uint4 window[(WINDOW * C + 3) / 4];
    __align__(16) unsigned short patches[TOKENS][KE + SKEW];
    __align__(16) unsigned short features[KF];
    __align__(16) unsigned short normed[TOKENS][D + SKEW];
    union {
        __align__(16) unsigned short hidden[TOKENS][E + SKEW];
        struct {  // until x is there
            float4 moments[2][WARPS][CP];
            __align__(16) unsigned short rows[WINDOW][CP];
            float powers[2 * SEGMENT + 1][CP];
        };
    };
    float4 norms[2][ALL_WARPS][TOKENS / 2];
    __align__(16) float results[NP + CP];
    u64 order, gates[2];
};
static_assert(RESIDENT + sizeof(Activations) == SHARED, "fragments.py counts otherwise");

__device__ __forceinline__ u32 own_rank() { return CLUSTER > 1 ? rank_in_cluster() : 0; }

// Where all warps of all blocks meet, and hand over what the others need. There are two gates by
// turns: whoever is through one has all that was sent there, so nobody still reads what was sent
// through the one before.
struct Meeting {
    u64 *gates;
    u32 count;

    // Write a value in the shared memory of every block.
    template <class T>
    __device__ __forceinline__ void share(T &place, const T &value) const {
        if (CLUSTER == 1) {
            place = value;
            return;
        }
#pragma unroll
        for (int block = 0; block < CLUSTER; block++) send(place, value, gates[count % 2], block);
    }

    // Go on when a block has got all bytes that were shared.
    __device__ __forceinline__ void meet(u32 bytes) {
        if (CLUSTER == 1) {
            __syncthreads();
            return;
        }
        if (threadIdx.x == 0) expect(gates[count % 2], bytes);
        pass(gates[count % 2], count / 2 % 2);
        count++;
    }
};

// Where a warp is: its own columns of a product begin at 8 times its tiles before.
struct Place {
    int lane, g, t, own, warp;  // warp in its block, and in the cluster
};

__device__ __forceinline__ Place place() {
    const int lane = threadIdx.x % LANES, own = threadIdx.x / LANES;
    return {lane, lane / 4, lane % 4, own, (int)own_rank() * WARPS + own};
}

__device__ __forceinline__ u64 await_order(const u64 *order, u32 last, u64 idle_ns, u64 end) {
    const u64 begun = nanoseconds();
    for (;;) {
#pragma unroll 1
        for (int i = 0; i < 64; i++) {  // a microsecond or two each
            const u64 word = read_order(order);
            if ((u32)(word >> 32) != last) return word;
        }
        const u64 now = nanoseconds();
        if (now - begun > idle_ns || now > end) return END;
    }
}

// The registers of A for inputs 16 step to 16 step + 15 of [16, K] halves in shared memory.
template <int STRIDE>
__device__ __forceinline__ void load_inputs(u32 (&a)[4], const unsigned short (*from)[STRIDE], int step) {
    const int lane = threadIdx.x % LANES;
    load_matrices(a, &from[lane % 16][16 * step + 8 * (lane / 16)]);
}

// A warp's words of a layer, so many times four of each lane.
struct Words {
    const uint4 *first;
    __device__ __forceinline__ uint4 operator()(int i) const { return first[i * LANES]; }
};

__device__ __forceinline__ Words at_lane(const unsigned char *layer, int count) {
    return {(const uint4 *)layer + threadIdx.x / LANES * count * LANES + threadIdx.x % LANES};
}

// Sums of a product with INT8 weights; `weights(i)` brings four words, `inputs(a, step)` 16 inputs.
template <int STEPS, int TILES, class Weights, class Inputs>
__device__ __forceinline__ void byte_product(float (&sums)[TILES][4], Weights weights, Inputs inputs) {
    float odd[TILES][4] = {};  // two chains of sums, for each waits for the one before
    uint4 four;
    u32 a[4];
#pragma unroll
    for (int i = 0; i < STEPS * TILES; i++) {
        const int step = i / TILES, tile = i % TILES;
        if (i % 4 == 0) four = weights(i / 4);
        if (tile == 0) inputs(a, step);
        u32 b[2];
        unpack_bytes(i % 4 == 0 ? four.x : i % 4 == 1 ? four.y : i % 4 == 2 ? four.z : four.w, b);
        multiply(step % 2 ? odd[tile] : sums[tile], a, b[0], b[1]);
    }
#pragma unroll
    for (int i = 0; i < TILES * 4; i++) sums[i / 4][i % 4] += odd[i / 4][i % 4];
}

// Sums of a product with INT4 weights, and in a transient those of the low-rank branch: its A for
// every warp alike, [steps of 16, rank tiles], and its B for the columns of this one.
template <int STEPS, int TILES, int STRIDE>
__device__ __forceinline__ void dual_product(
    float (&sums)[TILES][4], float (&branch)[TILES][4], const unsigned short (*inputs)[STRIDE],
    Words weights, const uint2 *down, const u32 *up, bool steady) {
    float odd[TILES][4] = {};
    const int lane = threadIdx.x % LANES;
    uint4 four;
    u32 a[2][4];
#pragma unroll
    for (int i = 0; i < STEPS / 2 * TILES; i++) {
        const int pair = i / TILES, tile = i % TILES;
        if (i % 4 == 0) four = weights(i / 4);
        if (tile == 0) {
            load_inputs(a[0], inputs, 2 * pair);
            load_inputs(a[1], inputs, 2 * pair + 1);
        }
        u32 b[4];
        unpack_nibbles(i % 4 == 0 ? four.x : i % 4 == 1 ? four.y : i % 4 == 2 ? four.z : four.w, b);
        multiply(sums[tile], a[0], b[0], b[1]);
        multiply(odd[tile], a[1], b[2], b[3]);
    }
#pragma unroll
    for (int i = 0; i < TILES * 4; i++) sums[i / 4][i % 4] += odd[i / 4][i % 4];
    if (steady) return;
    float inner[RANK_TILES + 1][4] = {};
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
        load_inputs(a[0], inputs, step);
#pragma unroll
        for (int rank = 0; rank < RANK_TILES; rank++) {
            const uint2 b = down[(step * RANK_TILES + rank) * LANES + lane];
            multiply(inner[rank], a[0], b.x, b.y);
        }
    }
#pragma unroll
    for (int rank = 0; rank < RANK_TILES; rank++) {
        const u32 a0 = halves(inner[rank][0], inner[rank][1]), a1 = halves(inner[rank][2], inner[rank][3]);
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
            multiply_half(branch[tile], a0, a1, up[(rank * TILES + tile) * LANES + lane]);
    }
}

// GELU in its tanh form.
__device__ __forceinline__ float gelu(float x) {
    const float half = 0.5f * x;
    return fmaf(half, tanh_fast(x * fmaf(x * x, 0.0356774081f, 0.7978845608f)), half);
}

__device__ __forceinline__ float asinh_fast(float x) {
    const float size = fabsf(x);
    return copysignf(log_fast(root_fast(fmaf(size, size, 1.f)) + size), x);
}

__device__ __forceinline__ void add(float4 &sums, const float4 &more) {
    sums.x += more.x;
    sums.y += more.y;
    sums.z += more.z;
    sums.w += more.w;
}

// Over the lanes that differ in t.
__device__ __forceinline__ float4 sum_of_four(float4 x) {
#pragma unroll
    for (int lanes = 1; lanes < 4; lanes *= 2)
        add(x, {shuffle(x.x, lanes), shuffle(x.y, lanes), shuffle(x.z, lanes), shuffle(x.w, lanes)});
    return x;
}

// LayerNorm of x over all columns: what to multiply x by, and what to add, for rows g and g + 8.
__device__ __forceinline__ void norm_of(
    const float (&x)[X_TILES][4], float4 (*shared)[TOKENS / 2], float2 (&how)[2], Meeting &all) {
    const auto [lane, g, t, own, warp] = place();
    float4 sums = {0.f, 0.f, 0.f, 0.f};  // of x and its square, of both rows
#pragma unroll
    for (int tile = 0; tile < X_TILES; tile++) {
        sums.x += x[tile][0] + x[tile][1];
        sums.y += fmaf(x[tile][0], x[tile][0], x[tile][1] * x[tile][1]);
        sums.z += x[tile][2] + x[tile][3];
        sums.w += fmaf(x[tile][2], x[tile][2], x[tile][3] * x[tile][3]);
    }
    sums = sum_of_four(sums);
    if (t == 0) all.share(shared[warp][g], sums);
    all.meet(ALL_WARPS * (TOKENS / 2) * sizeof(float4));
    sums = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
    for (int other = 0; other < ALL_WARPS; other += 4) add(sums, shared[other + t][g]);
    sums = sum_of_four(sums);
    const float mean[2] = {sums.x * (1.f / D), sums.z * (1.f / D)};
    const float squares[2] = {sums.y * (1.f / D), sums.w * (1.f / D)};
#pragma unroll
    for (int row = 0; row < 2; row++) {
        const float scale = rsqrtf(fmaxf(squares[row] - mean[row] * mean[row], 0.f) + 1e-5f);
        how[row] = {scale, -mean[row] * scale};
    }
}

// Normed x as the activations of rows g (0) or g + 8 (1) of a tile.
__device__ __forceinline__ u32 normed(
    const float (&x)[4], int row, const float2 (&how)[2], float2 gain, float2 bias, const Rounding &as) {
    return activations(
        fmaf(fmaf(x[2 * row], how[row].x, how[row].y), gain.x, bias.x),
        fmaf(fmaf(x[2 * row + 1], how[row].x, how[row].y), gain.y, bias.y), as);
}

__device__ __forceinline__ float2 pair_of(const float *values) { return *(const float2 *)values; }

// Sums over the rows of a window of four values for each channel, [CP] of every warp in `shared`.
__device__ __forceinline__ void share_sums(float4 mine, float4 (*shared)[CP]) {
#pragma unroll
    for (int lanes = CP; lanes < LANES; lanes *= 2)
        add(mine, {shuffle(mine.x, lanes), shuffle(mine.y, lanes), shuffle(mine.z, lanes), shuffle(mine.w, lanes)});
    if (threadIdx.x % LANES < CP) shared[threadIdx.x / LANES][threadIdx.x % CP] = mine;
    __syncthreads();
}

__device__ __forceinline__ float4 all_sums(const float4 (*shared)[CP]) {
    float4 all = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
    for (int warp = 0; warp < WARPS; warp++) add(all, shared[warp][threadIdx.x % CP]);
    return all;
}

// From the window to x.
__device__ __forceinline__ void embed(
    float (&x)[X_TILES][4], Activations &at, const uint4 (&of_features)[X_WORDS], const unsigned char *resident,
    const unsigned char *model, const float *vectors, bool steady, Meeting &all) {
    const auto [lane, g, t, own, warp] = place();
    const int channel = threadIdx.x % CP, group = threadIdx.x / CP;
    const float *scales = vectors + 3 * CP, *inverses = scales + SCALARS, *columns = inverses + SCALARS;
    const Rounding patch_as = rounding(steady, inverses[0]), feature_as = rounding(steady, inverses[1]);

    // Standardise each channel about its level, and squash.
    float values[ROWS];
    float4 sums = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const int row = group + i * ROW_GROUPS;
        values[i] = __int_as_float(0x7fc00000);
        if ((WINDOW % ROW_GROUPS == 0 || row < WINDOW) && channel < C) values[i] = ((const float *)at.window)[row * C + channel];
        if (values[i] == values[i]) {
            sums.x += values[i];
            sums.y += 1.f;
        }
    }
    share_sums(sums, at.moments[0]);
    sums = all_sums(at.moments[0]);
    const float level = sums.y > 0.f ? __fdividef(sums.x, sums.y) : vectors[channel];
    sums = {0.f, 0.f, 0.f, 0.f};
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const int row = group + i * ROW_GROUPS;
        float y = (values[i] - level) * vectors[2 * CP + channel];
        y = asinh_fast(values[i] == values[i] ? y : 0.f);
        const float square = y * y;
        sums.x += y;
        sums.y += square;
        sums.z += fabsf(y);
        sums.w = fmaf(square, square, sums.w);
        const unsigned short code = activations(y, 0.f, patch_as), half = halves(y, 0.f);
        if (WINDOW % ROW_GROUPS == 0 || row < WINDOW) {
            if (SEGMENT) at.rows[row][channel] = half;
            if (channel < C) at.patches[row / PATCH][row % PATCH * C + channel] = code;
        }
    }
    share_sums(sums, at.moments[1]);

    // Powers by frequency: a warp takes 16 waves of 8 channels at a time.
    for (int unit = warp; unit < SEGMENT / 8 * (CP / 8); unit += ALL_WARPS) {
        const int wave = unit / (CP / 8), channels = unit % (CP / 8) * 8;
        float squares[4] = {};
#pragma unroll
        for (int segment = 0; segment < SEGMENTS; segment++) {
            float waves[4] = {};
#pragma unroll
            for (int first = 0; first < SEGMENT; first += 32) {  // rows; a segment has 16 or more
                u32 b[4];
                const int row = first + lane < SEGMENT ? first + lane : first;
                load_transposed(b, &at.rows[segment * SEGMENT + row][channels]);
#pragma unroll
                for (int half = 0; half < 2 && first + 16 * half < SEGMENT; half++) {
                    const uint4 four = ((const uint4 *)(model + AT_BASIS))
                        [(wave * (SEGMENT / 16) + first / 16 + half) * LANES + lane];
                    const u32 a[4] = {four.x, four.y, four.z, four.w};
                    multiply(waves, a, b[2 * half], b[2 * half + 1]);
                }
            }
#pragma unroll
            for (int i = 0; i < 4; i++) squares[i] = fmaf(waves[i], waves[i], squares[i]);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) all.share(at.powers[16 * wave + g + i / 2 * 8][channels + 2 * t + i % 2], squares[i]);
    }

    if (threadIdx.x < C) {
        sums = all_sums(at.moments[1]);
        const float variance = (sums.y - sums.x * sums.x * (1.f / WINDOW)) * (1.f / (WINDOW - 1));
        const float placed = asinh_fast((level - vectors[channel]) * vectors[CP + channel]);
        at.features[channel] = activations(placed, 0.f, feature_as);
        at.features[C + channel] = activations(log_fast(variance + 1e-4f), 0.f, feature_as);
        if (SEGMENT) {
            at.features[2 * C + channel] = activations(log_fast(sums.z * (1.f / WINDOW) + 1e-2f), 0.f, feature_as);
            at.features[3 * C + channel] = activations(log_fast(sums.w * (1.f / WINDOW) + 1e-2f), 0.f, feature_as);
        }
        at.results[NP + channel] = level;
    }
    float patches[X_TILES][4] = {}, described[X_TILES][4] = {};
    byte_product<KE / 16>(patches, at_lane(resident + AT_EMBED, KE / 16 * X_TILES / 4),
        [&](u32 (&a)[4], int step) { load_inputs(a, at.patches, step); });
    if (SEGMENT) all.meet(2 * SEGMENT * CP * sizeof(float));
    else __syncthreads();
    for (int i = threadIdx.x; i < SEGMENT / 2 * C; i += THREADS) {
        const int frequency = i / C;
        float power = 0.f;
        for (int part = 0; part < 4; part++) power += at.powers[part * (SEGMENT / 2) + frequency][i % C];
        at.features[MOMENTS * C + i] = activations(log_fast(power + 1e-2f), 0.f, feature_as);
    }
    if (SEGMENT) __syncthreads();
    byte_product<KF / 16>(described, [&](int i) { return of_features[i]; },
        [&](u32 (&a)[4], int step) {  // the same for every token
            a[0] = a[1] = *(const u32 *)&at.features[16 * step + 2 * t];
            a[2] = a[3] = *(const u32 *)&at.features[16 * step + 8 + 2 * t];
        });
    const float by_patch = steady ? scales[0] : 1.f, by_feature = steady ? scales[1] : 1.f;
#pragma unroll
    for (int tile = 0; tile < X_TILES; tile++) {
        const int n = (own * X_TILES + tile) * 8 + 2 * t;
        const float2 of_patch = pair_of(columns + n), of_feature = pair_of(columns + OWN_D + n);
        const float2 bias = pair_of(columns + 2 * OWN_D + n);
#pragma unroll
        for (int i = 0; i < 4; i++)
            x[tile][i] = patches[tile][i] * ((i % 2 ? of_patch.y : of_patch.x) * by_patch)
                + described[tile][i] * ((i % 2 ? of_feature.y : of_feature.x) * by_feature)
                + (i % 2 ? bias.y : bias.x);
    }
}

// x plus the token mixing of its normed columns; every warp keeps to its own.
__device__ __forceinline__ void mix_tokens(
    float (&x)[X_TILES][4], const float2 (&norm)[2], const uint4 *weights, const float *vectors,
    const float *scales, bool steady) {
    const auto [lane, g, t, own, warp] = place();
    const float *up = vectors + 4 * OWN_D, *down = up + 2 * TE;
    const float by_up = steady ? scales[0] : 1.f, by_down = steady ? scales[1] : 1.f;
    const Rounding up_as = rounding(steady, scales[SCALARS]), down_as = rounding(steady, scales[SCALARS + 1]);
    u32 b[X_TILES][2];
    float sums[X_TILES][4] = {};
#pragma unroll
    for (int tile = 0; tile < X_TILES; tile++) {
        const int n = (own * X_TILES + tile) * 8 + 2 * t;
        const float2 gain = pair_of(vectors + n), bias = pair_of(vectors + OWN_D + n);
        b[tile][0] = transpose(normed(x[tile], 0, norm, gain, bias, up_as));
        b[tile][1] = transpose(normed(x[tile], 1, norm, gain, bias, up_as));
    }
#pragma unroll
    for (int units = 0; units < TE / 16; units++) {
        const uint4 four = weights[units * LANES + lane];
        u32 words[4][2];
        unpack_bytes(four.x, words[0]);
        unpack_bytes(four.y, words[1]);
        unpack_bytes(four.z, words[2]);
        unpack_bytes(four.w, words[3]);
        const u32 a_up[4] = {words[0][0], words[0][1], words[1][0], words[1][1]};
        const u32 a_down[4] = {words[2][0], words[2][1], words[3][0], words[3][1]};
        const int unit = 16 * units + g;
        const float scale[2] = {up[unit] * by_up, up[unit + 8] * by_up};
        const float bias[2] = {up[TE + unit], up[TE + unit + 8]};
#pragma unroll
        for (int tile = 0; tile < X_TILES; tile++) {
            float u[4] = {};
            multiply(u, a_up, b[tile][0], b[tile][1]);
#pragma unroll
            for (int i = 0; i < 4; i++) u[i] = gelu(fmaf(u[i], scale[i / 2], bias[i / 2]));
            multiply(sums[tile], a_down, transpose(activations(u[0], u[1], down_as)),
                transpose(activations(u[2], u[3], down_as)));
        }
    }
    const float scale[2] = {down[g] * by_down, down[g + 8] * by_down};
    const float bias[2] = {down[TOKENS + g], down[TOKENS + g + 8]};
#pragma unroll
    for (int i = 0; i < X_TILES * 4; i++)
        x[i / 4][i % 4] += fmaf(sums[i / 4][i % 4], scale[i % 4 / 2], bias[i % 4 / 2]);
}

// Value i of a tile of a dual-path layer: its product scaled, its branch and its bias.
__device__ __forceinline__ float dual(int i, const float (&product)[4], const float (&branch)[4], float2 scale,
    float2 bias, float by) {
    return fmaf(product[i], (i % 2 ? scale.y : scale.x) * by, branch[i] + (i % 2 ? bias.y : bias.x));
}

// x plus the channel mixing of its normed rows.
__device__ __forceinline__ void mix_channels(
    float (&x)[X_TILES][4], const float2 (&norm)[2], Activations &at, const unsigned char *weights,
    const unsigned char *adapters, const float *vectors, const float *scales, bool steady, Meeting &all) {
    const auto [lane, g, t, own, warp] = place();
    const float *up = vectors + 4 * OWN_D + 2 * TE + 2 * TOKENS, *down = up + 2 * OWN_E;
    const float by_up = steady ? scales[2] : 1.f, by_down = steady ? scales[3] : 1.f;
    const Rounding up_as = rounding(steady, scales[SCALARS + 2]), down_as = rounding(steady, scales[SCALARS + 3]);
    const uint2 *a_up = (const uint2 *)adapters, *a_down = a_up + D / 16 * RANK_TILES * LANES;
    const u32 *b_up = (const u32 *)(a_down + E / 16 * RANK_TILES * LANES);
    const u32 *b_down = b_up + E / 8 * RANK_TILES * LANES;
#pragma unroll
    for (int tile = 0; tile < X_TILES; tile++) {
        const int n = (warp * X_TILES + tile) * 8 + 2 * t, m = (own * X_TILES + tile) * 8 + 2 * t;
        const float2 gain = pair_of(vectors + 2 * OWN_D + m), bias = pair_of(vectors + 3 * OWN_D + m);
        all.share(*(u32 *)&at.normed[g][n], normed(x[tile], 0, norm, gain, bias, up_as));
        all.share(*(u32 *)&at.normed[g + 8][n], normed(x[tile], 1, norm, gain, bias, up_as));
    }
    all.meet(TOKENS * D * 2);
    float u[U_TILES][4] = {}, u_branch[U_TILES][4] = {};
    dual_product<D / 16>(u, u_branch, at.normed, at_lane(weights, D / 32 * U_TILES / 4),
        a_up, b_up + warp * RANK_TILES * U_TILES * LANES, steady);
#pragma unroll
    for (int tile = 0; tile < U_TILES; tile++) {
        const int n = (warp * U_TILES + tile) * 8 + 2 * t, m = (own * U_TILES + tile) * 8 + 2 * t;
        const float2 scale = pair_of(up + m), bias = pair_of(up + OWN_E + m);
#pragma unroll
        for (int i = 0; i < 4; i++) u[tile][i] = gelu(dual(i, u[tile], u_branch[tile], scale, bias, by_up));
        all.share(*(u32 *)&at.hidden[g][n], activations(u[tile][0], u[tile][1], down_as));
        all.share(*(u32 *)&at.hidden[g + 8][n], activations(u[tile][2], u[tile][3], down_as));
    }
    all.meet(TOKENS * E * 2);
    float y[X_TILES][4] = {}, branch[X_TILES][4] = {};
    dual_product<E / 16>(y, branch, at.hidden,
        at_lane(weights + CHANNELS_BLOCK / 2, E / 32 * X_TILES / 4),
        a_down, b_down + warp * RANK_TILES * X_TILES * LANES, steady);
#pragma unroll
    for (int tile = 0; tile < X_TILES; tile++) {
        const int n = (own * X_TILES + tile) * 8 + 2 * t;
        const float2 scale = pair_of(down + n), bias = pair_of(down + OWN_D + n);
#pragma unroll
        for (int i = 0; i < 4; i++) x[tile][i] += dual(i, y[tile], branch[tile], scale, bias, by_down);
    }
}

// Both heads in one product: row 0 is the mean token, row 1 the last one.
__device__ __forceinline__ void answer(
    const float (&x)[X_TILES][4], const float2 (&norm)[2], Activations &at, const unsigned char *resident,
    const float *vectors, const float *scales, bool steady, Meeting &all) {
    const auto [lane, g, t, own, warp] = place();
    const Rounding class_as = rounding(steady, scales[SCALARS + 2]);
    const Rounding forecast_as = rounding(steady, scales[SCALARS + 3]);
#pragma unroll
    for (int tile = 0; tile < X_TILES; tile++) {
        const int n = (warp * X_TILES + tile) * 8 + 2 * t, m = (own * X_TILES + tile) * 8 + 2 * t;
        const float2 gain = pair_of(vectors + m), bias = pair_of(vectors + OWN_D + m);
        float last[2], mean[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float by = i ? gain.y : gain.x, plus = i ? bias.y : bias.x;
            const float first = fmaf(fmaf(x[tile][i], norm[0].x, norm[0].y), by, plus);
            last[i] = fmaf(fmaf(x[tile][2 + i], norm[1].x, norm[1].y), by, plus);
            mean[i] = first + last[i];
            for (int lanes = 4; lanes < LANES; lanes *= 2) mean[i] += shuffle(mean[i], lanes);
            mean[i] *= 1.f / TOKENS;
        }
        if (g == 0) all.share(*(u32 *)&at.normed[0][n], activations(mean[0], mean[1], class_as));
        if (g == 7) all.share(*(u32 *)&at.normed[1][n], activations(last[0], last[1], forecast_as));
    }
    all.meet(2 * D * 2);
    float sums[N_TILES][4] = {};
    byte_product<D / 16>(sums, at_lane(resident + AT_HEADS, D / 16 * N_TILES / 4),
        [&](u32 (&a)[4], int step) {
            a[0] = *(const u32 *)&at.normed[g % 2][16 * step + 2 * t];
            a[2] = *(const u32 *)&at.normed[g % 2][16 * step + 8 + 2 * t];
            a[1] = a[3] = 0;
        });
#pragma unroll
    for (int i = 0; i < N_TILES * 2; i++) {
        const int n = (warp * N_TILES + i / 2) * 8 + 2 * t + i % 2;
        if (n < NOUT && g == (n < LABELS ? 0 : 1)) {
            const float by = steady ? scales[n < LABELS ? 2 : 3] : 1.f;
            all.share(at.results[n], fmaf(sums[i / 2][i % 2], vectors[2 * OWN_D + n] * by, vectors[2 * OWN_D + NP + n]));
        }
    }
    all.meet(NOUT * sizeof(float));
}

#if CLUSTER > 1
#define TOGETHER __cluster_dims__(CLUSTER, 1, 1)
#else
#define TOGETHER
#endif

extern "C" __global__ void TOGETHER __launch_bounds__(THREADS, 1) persistent_mixer(
    const u64 *record, u64 *outputs, u64 *ended, const unsigned char *model, u64 launch, u64 last,
    u64 idle_ns, u64 life_ns) {
    const int rank = own_rank();
    unsigned char *resident = own_memory();
    const unsigned char *own = model + rank * SHARE;  // this block's columns of all layers
    Activations &at = *(Activations *)(resident + RESIDENT);
    const u64 end = nanoseconds() + life_ns;
    for (int i = threadIdx.x; i < RESIDENT / 16; i += THREADS)
        ((uint4 *)resident)[i] = ((const uint4 *)own)[i];
    for (int i = threadIdx.x; i < (int)(sizeof(Activations) / 4); i += THREADS) ((u32 *)&at)[i] = 0;
    const float *vectors = (const float *)(resident + AT_VECTORS), *scales = vectors + 3 * CP;
    const float *blocks = scales + 2 * SCALARS + 3 * OWN_D;
    Meeting all = {at.gates, 0};
    __syncthreads();
    if (CLUSTER > 1) {
        if (threadIdx.x == 0) make_gate(at.gates[0]), make_gate(at.gates[1]);
        meet_cluster();
    }
    u64 number = last;
    for (;;) {
        if (rank == 0 && threadIdx.x == 0) all.share(at.order, await_order(record, (u32)number, idle_ns, end));
        all.meet(sizeof at.order);
        const u32 path = (u32)at.order;
        if (path == END) break;
        number = at.order >> 32;
        const bool steady = path == 0;
        constexpr int QUADS = (WINDOW * C + 3) / 4, STRIDE = CLUSTER * THREADS, OWN = (QUADS + STRIDE - 1) / STRIDE;
        const int first = rank * THREADS + threadIdx.x;
        uint4 window[OWN], of_features[X_WORDS];
#pragma unroll
        for (int i = 0; i < OWN; i++)  // all of them on their way at once
            if (first + i * STRIDE < QUADS) window[i] = read_host((const uint4 *)(record + LEAD / 2) + first + i * STRIDE);
#pragma unroll
        for (int i = 0; i < X_WORDS; i++) of_features[i] = at_lane(own + AT_FEATURES, X_WORDS)(i);
#pragma unroll
        for (int i = 0; i < OWN; i++)
            if (first + i * STRIDE < QUADS) all.share(at.window[first + i * STRIDE], window[i]);
        all.meet(QUADS * sizeof(uint4));
        float x[X_TILES][4];
        embed(x, at, of_features, resident, model, vectors, steady, all);
#pragma unroll 1
        for (int block = 0; block < BLOCKS; block++) {
            const float *here = blocks + block * VECTORS_BLOCK, *steps = scales + 4 + 4 * block;
            float2 norm[2];
            norm_of(x, at.norms[0], norm, all);
            mix_tokens(x, norm, (const uint4 *)(resident + AT_TOKENS) + block * (TE / 16) * LANES, here, steps, steady);
            norm_of(x, at.norms[1], norm, all);
            const bool outside = RESIDENT < AT_FEATURES && block >= (RESIDENT - AT_CHANNELS) / CHANNELS_BLOCK;
            mix_channels(x, norm, at, (outside ? own : resident) + AT_CHANNELS + block * CHANNELS_BLOCK,
                model + AT_ADAPTERS + block * ADAPTERS_BLOCK, here, steps, steady, all);
        }
        float2 norm[2];
        norm_of(x, at.norms[0], norm, all);
        answer(x, norm, at, resident, blocks + BLOCKS * VECTORS_BLOCK, scales, steady, all);
        for (int i = first; i < (NP + CP) / 2; i += STRIDE) {
            const u32 *values = (const u32 *)&at.results[2 * i];
            write_host(outputs + 2 * i, values[0] | number << 32, values[1] | number << 32);
        }
    }
    if (CLUSTER > 1) meet_cluster();  // nobody ends while others write there
    if (rank == 0 && threadIdx.x == 0) {
        __threadfence_system();
        *(volatile u64 *)ended = launch;
    }
}
