#!/usr/bin/env bash
# A stand-in for a Raspberry Pi 4 behind ssh, for tests: Debian's aarch64 Python in qemu-user, a real sshd on 127.0.0.1.
#
#   tools/emulated_pi.sh FOLDER         builds it in FOLDER (about 120 MB, a minute); nothing to do when it is there
#   tools/emulated_pi.sh FOLDER PORT    and serves it, in the foreground; `ssh -F FOLDER/ssh_config pi` logs in
#
# Needs Debian with apt lists (`apt-get update`) and ssh. Packages are unpacked in FOLDER, not installed. As root it adds the
# user sshd and /run/sshd where they are absent, which sshd demands of root.
set -euo pipefail
mkdir -p "$1"
here=$(cd "$1" && pwd)
sysroot=$here/sysroot

unpack() { # FOLDER DEB...
    local folder=$1 deb
    shift
    for deb in "$@"; do dpkg -x "$deb" "$folder"; done
}

build() {
    local apt=$here/apt codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # apt with a state of its own, so that the machine's architecture and packages stay as they are.
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$here/debs" "$sysroot"
    : >"$apt/status"
    local options=(-qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root
        -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt")
    apt-get "${options[@]}" update
    apt-get "${options[@]}" --download-only --no-install-recommends -y install \
        python3.11-minimal libpython3.11-stdlib libstdc++6 zlib1g >/dev/null
    unpack "$sysroot" "$apt"/archives/*.deb
    (cd "$here/debs" && apt-get -qq -o APT::Sandbox::User=root download openssh-server libwrap0 qemu-user-static)
    unpack "$here/host" "$here"/debs/*.deb
    find "$here/host/usr/bin" -name 'qemu-*' ! -name qemu-aarch64-static -delete
    rm -r "$apt" "$here/debs"

    # What a Pi says of itself; onnxruntime would crash on the host's cpuinfo.
    mkdir -p "$sysroot/proc/device-tree" "$sysroot/sys/devices/system/cpu/cpu0/cpufreq"
    for core in 0 1 2 3; do
        printf 'processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n' "$core"
        printf 'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
    done >"$sysroot/proc/cpuinfo"
    printf 'Raspberry Pi 4 Model B Rev 1.4\0' >"$sysroot/proc/device-tree/model"
    echo ondemand >"$sysroot/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"

    mkdir -p "$here/shims" "$here/home"
    cat >"$here/shims/python3" <<SHIM
#!/bin/sh
exec "$here/host/usr/bin/qemu-aarch64-static" -cpu cortex-a72 -L "$sysroot" "$sysroot/usr/bin/python3.11" "\$@"
SHIM
    cat >"$here/enter" <<ENTER
#!/bin/sh
export PATH="$here/shims:/usr/bin:/bin" HOME="$here/home"
cd && exec sh -c "\$SSH_ORIGINAL_COMMAND"
ENTER
    chmod +x "$here/shims/python3" "$here/enter"
    rm -f "$here"/*_key*
    ssh-keygen -q -t ed25519 -N '' -f "$here/host_key"
    ssh-keygen -q -t ed25519 -N '' -f "$here/user_key"
    "$here/shims/python3" -c 'import platform; assert platform.machine() == "aarch64"'
    touch "$here/built"
}

serve() { # PORT
    cat >"$here/sshd_config" <<CONFIG
ListenAddress 127.0.0.1
Port $1
HostKey $here/host_key
AuthorizedKeysFile $here/user_key.pub
ForceCommand $here/enter
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
CONFIG
    cat >"$here/ssh_config" <<CONFIG
Host pi 127.0.0.1
    HostName 127.0.0.1
    Port $1
    User $(id -un)
    IdentityFile $here/user_key
    IdentitiesOnly yes
    UserKnownHostsFile $here/known_hosts
CONFIG
    echo "[127.0.0.1]:$1 $(cut -d' ' -f1,2 "$here/host_key.pub")" >"$here/known_hosts"
    if [[ $(id -u) == 0 ]]; then
        getent passwd sshd >/dev/null || useradd --system --no-create-home --home-dir /run/sshd --shell /usr/sbin/nologin sshd
        mkdir -p /run/sshd
    fi
    LD_LIBRARY_PATH=$(echo "$here"/host/lib/*/ "$here"/host/usr/lib/*-linux-gnu | tr ' ' :) \
        exec "$here/host/usr/sbin/sshd" -D -e -f "$here/sshd_config"
}

[[ -e $here/built ]] || build
[[ -z ${2:-} ]] || serve "$2"
