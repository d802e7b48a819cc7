// What the kernel in `persistent_mixer.cu` asks of a warp, and of the blocks of a cluster, each one
// instruction or a few of PTX.
// The arithmetic is that of `numerics.py`. Lane 4 g + t of a warp holds of a tile of sums, 16 x 8,
// rows g and g + 8 and columns 2 t and 2 t + 1; two halves share a register, the first one low.
typedef unsigned int u32;
typedef unsigned long long u64;

__device__ __forceinline__ void multiply(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same 8 deep.
__device__ __forceinline__ void multiply_half(float (&sums)[4], u32 a0, u32 a1, u32 b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(b));
}

// Four matrices of 8 x 8 halves from shared memory; lane l names row l % 8 of matrix l / 8.
__device__ __forceinline__ void load_matrices(u32 (&out)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
        : "r"((u32)__cvta_generic_to_shared(row)));
}

__device__ __forceinline__ void load_transposed(u32 (&out)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
        : "r"((u32)__cvta_generic_to_shared(row)));
}

// A matrix of 8 x 8 halves that the warp holds, transposed.
__device__ __forceinline__ u32 transpose(u32 x) {
    u32 y;
    asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
    return y;
}

__device__ __forceinline__ float shuffle(float x, int lanes) {
    return __shfl_xor_sync(0xffffffff, x, lanes);
}

__device__ __forceinline__ u32 halves(float low, float high) {
    u32 y;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
}

// How activations become what the tensor cores are fed; see `numerics.activations`.
struct Rounding {
    float by, round_by;
    u32 largest;
};

__device__ __forceinline__ Rounding rounding(bool steady, float inverse_scale) {
    // 2047 and 65504 in half precision
    return {steady ? inverse_scale : 1.f, steady ? 12582912.f : 0.f, steady ? 0x67ff67ffu : 0x7bff7bffu};
}

__device__ __forceinline__ u32 activations(float low, float high, const Rounding &how) {
    low = fmaf(low, how.by, how.round_by) - how.round_by;
    high = fmaf(high, how.by, how.round_by) - how.round_by;
    u32 x = halves(low, high);
    asm("min.NaN.f16x2 %0, %0, %1; max.NaN.f16x2 %0, %0, %2;"
        : "+r"(x) : "r"(how.largest), "r"(how.largest ^ 0x80008000u));
    return x;
}

// Four codes of a word of `packing.byte_words`.
__device__ __forceinline__ void unpack_bytes(u32 word, u32 (&out)[2]) {
    asm("{ .reg .b32 a, b; prmt.b32 a, %2, 0x64646464, 0x4140; prmt.b32 b, %2, 0x64646464, 0x4342;"
        "sub.f16x2 %0, a, %3; sub.f16x2 %1, b, %3; }"
        : "=r"(out[0]), "=r"(out[1]) : "r"(word), "r"(0x64806480));
}

// Eight codes of a word of `packing.nibble_words`.
__device__ __forceinline__ void unpack_nibbles(u32 word, u32 (&out)[4]) {
    asm("{ .reg .b32 a, b, c, d, s; shr.b32 s, %4, 8;"
        "lop3.b32 a, %4, 0x000F000F, %5, 0xEA; lop3.b32 b, %4, 0x00F000F0, %5, 0xEA;"
        "lop3.b32 c, s, 0x000F000F, %5, 0xEA; lop3.b32 d, s, 0x00F000F0, %5, 0xEA;"
        "sub.f16x2 %0, a, %6; fma.rn.f16x2 %1, b, %7, %8; sub.f16x2 %2, c, %6; fma.rn.f16x2 %3, d, %7, %8; }"
        : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
        : "r"(word), "r"(0x64006400), "r"(0x64086408), "r"(0x2C002C00), "r"(0xD480D480));
}

__device__ __forceinline__ float tanh_fast(float x) {
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float log_fast(float x) {
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y * 0.693147182f;
}

__device__ __forceinline__ float root_fast(float x) {
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// The host's memory, as it is now.
__device__ __forceinline__ u64 read_order(const u64 *order) {
    u64 word;
    asm volatile("ld.acquire.sys.global.b64 %0, [%1];" : "=l"(word) : "l"(order) : "memory");
    return word;
}

__device__ __forceinline__ uint4 read_host(const uint4 *at) {
    uint4 x;
    asm volatile("ld.volatile.global.v4.u32 {%0,%1,%2,%3}, [%4];"
        : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "l"(at));
    return x;
}

__device__ __forceinline__ void write_host(u64 *at, u64 first, u64 second) {
    asm volatile("st.volatile.global.v2.u64 [%0], {%1, %2};" :: "l"(at), "l"(first), "l"(second) : "memory");
}

__device__ __forceinline__ u64 nanoseconds() {
    u64 now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

extern __shared__ __align__(16) unsigned char memory[];

// Shared memory of this block.
__device__ __forceinline__ unsigned char *own_memory() { return memory; }

__device__ __forceinline__ u32 rank_in_cluster() {
    u32 rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

// A gate lets nobody through before all bytes have come that were expected of it.
__device__ __forceinline__ u32 in_shared(const void *at) { return (u32)__cvta_generic_to_shared(at); }

__device__ __forceinline__ void make_gate(u64 &gate) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1; fence.mbarrier_init.release.cluster;" :: "r"(in_shared(&gate)) : "memory");
}

__device__ __forceinline__ void expect(u64 &gate, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(in_shared(&gate)), "r"(bytes) : "memory");
}

__device__ __forceinline__ void pass(u64 &gate, u32 parity) {
    asm volatile("{ .reg .pred done;"
        "AGAIN: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;"
        "@!done bra AGAIN; }" :: "r"(in_shared(&gate)), "r"(parity) : "memory");
}

// Write a value of 4, 8 or 16 bytes in the same place of another block of the cluster.
template <class T>
__device__ __forceinline__ void send(T &place, const T &value, u64 &gate, u32 rank) {
    u32 at, there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(in_shared(&place)), "r"(rank));
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(in_shared(&gate)), "r"(rank));
    const u32 *words = (const u32 *)&value;
    if (sizeof(T) == 4)
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];"
            :: "r"(at), "r"(words[0]), "r"(there) : "memory");
    else if (sizeof(T) == 8)
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];"
            :: "r"(at), "r"(words[0]), "r"(words[1]), "r"(there) : "memory");
    else
        asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, [%5];"
            :: "r"(at), "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]), "r"(there) : "memory");
}

__device__ __forceinline__ void meet_cluster() {
    asm volatile("barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;" ::: "memory");
}
