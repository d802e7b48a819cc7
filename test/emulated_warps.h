// The warps of `kernels/persistent_mixer.cu` on a processor: a thread for each of theirs, and in the
// place of `kernels/warp_primitives.cu` what those instructions are documented to do (PTX ISA).
#include <atomic>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __align__(n) __attribute__((aligned(n)))

typedef unsigned int u32;
typedef unsigned long long u64;
struct alignas(16) uint4 { u32 x, y, z, w; };
struct alignas(8) uint2 { u32 x, y; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct Lane { unsigned x; };

thread_local Lane threadIdx;
thread_local u32 own_block;
__align__(16) unsigned char memory[CLUSTER][1 << 18];
std::barrier<> cluster(CLUSTER * WARPS * 32);
std::vector<std::barrier<> *> blocks, warps;
u32 shared[CLUSTER * WARPS][32][8];
const void *rows_of[CLUSTER * WARPS][32];

inline u32 warp() { return own_block * WARPS + threadIdx.x / 32; }
inline u32 lane() { return threadIdx.x % 32; }
inline void meet() { warps[warp()]->arrive_and_wait(); }
inline void __syncthreads() { blocks[own_block]->arrive_and_wait(); }
inline void meet_cluster() { cluster.arrive_and_wait(); }
inline u32 rank_in_cluster() { return own_block; }
inline unsigned char *own_memory() { return memory[own_block]; }

inline void __threadfence_system() {}

inline void make_gate(u64 &gate) { gate = 0; }
inline void expect(u64 &gate, u32 bytes) { std::atomic_ref(gate) -= bytes; }
template <class T> inline void send(T &place, const T &value, u64 &gate, u32 rank) {
    const long to = memory[rank] - memory[own_block];
    *(T *)((unsigned char *)&place + to) = value;
    std::atomic_ref(*(u64 *)((unsigned char *)&gate + to)) += sizeof value;
}
inline void pass(u64 &gate, u32) {
    cluster.arrive_and_wait();
    if (std::atomic_ref(gate)) exit(3);  // more bytes or less than were expected
    cluster.arrive_and_wait();
}

template <class To, class From> inline To bits(From x) {
    To y;
    memcpy(&y, &x, sizeof y);
    return y;
}
inline float __int_as_float(int x) { return bits<float>(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }
inline float half_of(u32 pair, int which) { return (float)bits<_Float16>((unsigned short)(pair >> 16 * which)); }
inline u32 halves(float low, float high) {
    return bits<unsigned short>((_Float16)low) | (u32)bits<unsigned short>((_Float16)high) << 16;
}

// Row r and input k of A lie in lane 4 (r % 8) + k % 8 / 2, register r / 8 + 2 (k / 8); column n and
// input k of B in lane 4 n + k % 8 / 2, register k / 8.
inline void product(float (&sums)[4], const u32 *a, const u32 *b, int depth) {
    u32 *mine = shared[warp()][lane()];
    memcpy(mine, a, 2 * depth / 8 * sizeof *a);
    memcpy(mine + 4, b, depth / 8 * sizeof *b);
    meet();
    for (int i = 0; i < 4; i++) {
        const int row = lane() / 4 + i / 2 * 8, column = 2 * (lane() % 4) + i % 2;
        double sum = sums[i];
        for (int k = 0; k < depth; k++) {
            const u32 left = shared[warp()][row % 8 * 4 + k % 8 / 2][row / 8 + 2 * (k / 8)];
            const u32 right = shared[warp()][column * 4 + k % 8 / 2][4 + k / 8];
            sum += (double)half_of(left, k % 2) * half_of(right, k % 2);
        }
        sums[i] = (float)sum;
    }
    meet();
}
inline void multiply(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    const u32 b[2] = {b0, b1};
    product(sums, a, b, 16);
}
inline void multiply_half(float (&sums)[4], u32 a0, u32 a1, u32 b) {
    const u32 a[2] = {a0, a1};
    product(sums, a, &b, 8);
}

inline void load(u32 (&out)[4], const void *row, bool transposed) {
    if ((size_t)row % 16) abort();
    rows_of[warp()][lane()] = row;
    meet();
    const int g = lane() / 4, t = lane() % 4;
    for (int i = 0; i < 4; i++) {
        auto half = [&](int r, int c) { return (u32)((const unsigned short *)rows_of[warp()][8 * i + r])[c]; };
        out[i] = transposed ? half(2 * t, g) | half(2 * t + 1, g) << 16 : half(g, 2 * t) | half(g, 2 * t + 1) << 16;
    }
    meet();
}
inline void load_matrices(u32 (&out)[4], const void *row) { load(out, row, false); }
inline void load_transposed(u32 (&out)[4], const void *row) { load(out, row, true); }

inline u32 transpose(u32 x) {
    shared[warp()][lane()][0] = x;
    meet();
    const int g = lane() / 4, t = lane() % 4;
    auto half = [&](int r, int c) { return shared[warp()][4 * r + c / 2][0] >> 16 * (c % 2) & 0xffff; };
    const u32 y = half(2 * t, g) | half(2 * t + 1, g) << 16;
    meet();
    return y;
}
inline float shuffle(float x, int lanes) {
    shared[warp()][lane()][0] = bits<u32>(x);
    meet();
    const float y = bits<float>(shared[warp()][lane() ^ lanes][0]);
    meet();
    return y;
}

struct Rounding { float inverse, largest; };
inline Rounding rounding(bool steady, float inverse_scale) {
    return {steady ? inverse_scale : 0.f, steady ? 2047.f : 65504.f};
}
inline u32 activations(float low, float high, const Rounding &how) {
    auto one = [&](float x) {
        if (how.inverse) x = std::nearbyint(x * how.inverse);
        return x > how.largest ? how.largest : x < -how.largest ? -how.largest : x;  // NaN stays
    };
    return halves(one(low), one(high));
}
inline void unpack_bytes(u32 word, u32 (&out)[2]) {
    auto code = [&](int i) { return (float)((int)(word >> 8 * i & 255) - 128); };
    for (int i = 0; i < 2; i++) out[i] = halves(code(2 * i), code(2 * i + 1));
}
inline void unpack_nibbles(u32 word, u32 (&out)[4]) {  // even codes in the lower half of a word
    auto code = [&](int i) { return (float)((int)(word >> (4 * (i / 2) + 16 * (i % 2)) & 15) - 8); };
    for (int i = 0; i < 4; i++) out[i] = halves(code(2 * i), code(2 * i + 1));
}
inline float tanh_fast(float x) { return tanhf(x); }
inline float log_fast(float x) { return logf(x); }
inline float root_fast(float x) { return sqrtf(x); }
inline u64 read_order(const u64 *order) { return *order; }
inline uint4 read_host(const uint4 *at) { return *at; }
inline void write_host(u64 *at, u64 first, u64 second) { at[0] = first, at[1] = second; }
inline u64 nanoseconds() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
