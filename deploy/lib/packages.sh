# Sourced by deploy/quickstart and tests/run: installs what deploy/packages.txt lists and this machine lacks.
# Needs root (or sudo) only when something is missing.

tributary_packages() {
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1" | awk '{print $1}'
}

tributary_install_packages() {
  local list="$1" missing=() package
  if ! command -v apt-get > /dev/null; then
    echo "This needs Debian 12 or 13 (apt-get was not found). The packages are listed in $list." >&2
    return 1
  fi
  while read -r package; do
    if ! dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null | grep -qx installed; then
      missing+=("$package")
    fi
  done < <(tributary_packages "$list")
  if [ "${#missing[@]}" -eq 0 ]; then
    return 0
  fi
  echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
      echo "Not root, and sudo was not found. As root, run: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}
