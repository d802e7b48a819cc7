// Runs the kernel on records of a file: `PROGRAM IMAGE RECORDS COUNT OUTPUTS`. For each it is
// launched with memory full of NaN, answers once, and ends as idle.
static unsigned char *read_file(const char *name, long &size) {
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) exit(1);
    rewind(file);
    unsigned char *bytes = (unsigned char *)aligned_alloc(64, (size + 63) / 64 * 64);
    if (fread(bytes, 1, size, file) != (size_t)size) exit(1);
    fclose(file);
    return bytes;
}

int main(int, char **names) {
    long size;
    const unsigned char *image = read_file(names[1], size), *records = read_file(names[2], size);
    const int count = atoi(names[3]);
    FILE *out = fopen(names[4], "wb");
    for (int i = 0; i < CLUSTER; i++) blocks.push_back(new std::barrier<>(WARPS * 32));
    for (int i = 0; i < CLUSTER * WARPS; i++) warps.push_back(new std::barrier<>(32));
    for (int i = 0; i < count; i++) {
        __align__(16) u64 outputs[NP + CP], ended = 0;
        memset(outputs, 0xff, sizeof outputs);
        memset(memory, 0xff, sizeof memory);
        std::vector<std::thread> threads;
        for (u32 t = 0; t < CLUSTER * WARPS * 32; t++)
            threads.emplace_back([&, t] {
                threadIdx.x = t % (WARPS * 32), own_block = t / (WARPS * 32);
                persistent_mixer((const u64 *)(records + size / count * i), outputs, &ended, image, 7, 0, 0, ~0ull >> 1);
            });
        for (auto &thread : threads) thread.join();
        if (ended != 7) exit(2);
        fwrite(outputs, sizeof *outputs, NP + CP, out);
    }
    return fclose(out);
}
