# shellcheck shell=bash disable=SC2034
# Sourced: finds a docker client that can build with BuildKit, as $DOCKER, and a compose, as the array $COMPOSE.
# Engines from 23 on build through the plugin buildx; before that the client does it by itself.

tributary_find_docker() {
  local client version
  for client in ${DOCKER:-} $(type -ap docker 2> /dev/null); do
    version="$("$client" version --format '{{.Client.Version}}' 2> /dev/null)" || continue
    if [ "${version%%.*}" -lt 23 ] || "$client" buildx version > /dev/null 2>&1; then
      echo "$client"
      return 0
    fi
  done
  return 1
}

# Empty where there is none.
tributary_find_compose() {
  if "$DOCKER" compose version > /dev/null 2>&1; then
    COMPOSE=("$DOCKER" compose)
  elif command -v docker-compose > /dev/null; then
    COMPOSE=(docker-compose)
  else
    COMPOSE=()
  fi
}

if ! DOCKER="$(tributary_find_docker)"; then
  echo "No Docker Engine answers, or its client cannot build with BuildKit. Debian 12: apt-get install docker.io; Debian 13: docker.io docker-buildx; then start dockerd." >&2
  exit 1
fi
export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
