#!/bin/bash
# `make test-arm64 [ARGS=...]`: test/unit on an emulated ARM64, without ROS and without a GPU. As root, with
# debootstrap and qemu-user-static. Emulation is slow: minutes to begin, hours for every test, so none is cut off.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/out/arm64 site=$PWD/out/arm64/opt/site binfmt=/proc/sys/fs/binfmt_misc

for tool in debootstrap qemu-aarch64-static; do
    command -v $tool > /dev/null || { echo "missing: $tool (Debian: apt install debootstrap qemu-user-static)" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "a chroot needs root" >&2; exit 1; }

# The kernel opens the emulator once (F), so the chroot needs none of its own.
[ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt
[ -e $binfmt/qemu-aarch64 ] || printf '%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OCF' > $binfmt/register

if [ ! -e "$root/made" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase --arch=arm64 --include=python3 bookworm "$root"
    touch "$root/made"
fi

# pip runs here, for there: faster, but it takes the markers of requirements for those of this machine. So torch comes
# without what it names; 2.8.0 is a build for the CPU.
fetch() {
    .venv/bin/python -m pip install -q --only-binary :all: --implementation cp --python-version 3.11 \
        --platform=manylinux_2_{17,27,28,31,34,36}_aarch64 --target "$site" "$@"
}
if [ ! -e $site/made ]; then
    grep -vhE '^(#|torch|triton|mypy|ruff|playwright|types-|pytest-cov)' requirements/{runtime,dev}.txt > "$root/wanted.txt"
    fetch -r "$root/wanted.txt" filelock fsspec jinja2 networkx sympy typing-extensions
    fetch --no-deps torch==2.8.0 triton
    .venv/bin/python -m pip install -q --no-deps --target "$site" .  # for its version; the code is that of /src
    touch "$site/made"
fi

rm -rf "$root/src" && mkdir "$root/src"
git ls-files -z | tar -c --null -T - | tar -xC "$root/src"
ln -s ../kernels "$root/src/tao_lora_ros/kernels"
# The mounts go with the process. Other kernels of OpenBLAS give wrong products under emulation.
unshare --mount bash -euc "mount -t proc proc $root/proc; mount --bind /dev $root/dev; mount --bind /dev/shm $root/dev/shm
    exec chroot $root env -i HOME=/root PATH=/usr/bin:/bin OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 OPENBLAS_CORETYPE=ARMV8 PYTHONPATH=/src:/opt/site \"\$@\"" - \
    bash -c 'cd /src && exec python3 -m pytest -o faulthandler_timeout=0 "$@"' - -m "not gpu and not ros and not launch" ${*:-test/unit}
