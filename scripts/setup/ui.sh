# How set-up talks: steps with time and size, a spinner on a terminal, plain lines elsewhere; sourced by ./run and ./test.
# shellcheck shell=bash disable=SC2154,SC2034 # `repo` is set by paths.sh; `dot` is used by ./run
columns=${COLUMNS:-$( (tput cols 2>/dev/null || echo 80) | head -1)}
[ "$columns" -le 100 ] || columns=100
[ "$columns" -ge 40 ] || columns=40
if [ -t 1 ]; then terminal=1; else terminal=''; fi
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
  *[Uu][Tt][Ff]8* | *[Uu][Tt][Ff]-8*) mark_done='✓' mark_failed='✗' dot='·' frames=(⠋ ⠙ ⠹ ⠸ ⠼ ⠴ ⠦ ⠧ ⠇ ⠏) ;;
  *) mark_done='+' mark_failed='x' dot='-' frames=("|" "/" "-" "\\") ;;
esac
if [ "$terminal" ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  green=$'\e[32m' red=$'\e[31m' muted=$'\e[2m' plain=$'\e[0m'
else
  green='' red='' muted='' plain=''
fi

duration() {
  local s=$1
  if [ "$s" -lt 60 ]; then echo "$s s"; elif [ "$s" -lt 3600 ]; then echo "$((s / 60)) min $((s % 60)) s"; else
    echo "$((s / 3600)) h $((s % 3600 / 60)) min"
  fi
}

size_mb() { if [ "$1" -lt 1000 ]; then echo "$1 MB"; else echo "$(($1 / 1000)).$(($1 % 1000 / 100)) GB"; fi; }

# step_line MARK COLOUR LABEL DETAIL TIME SIZE: one line that fits the terminal.
step_line() {
  local width=$((columns - 4)) right left
  right=$(printf '%12s %8s' "$5" "$6")
  left=$(printf '%-18s %s' "$3" "$4")
  left=${left:0:$((width - ${#right}))}
  printf ' %s%s%s %s%*s' "$2" "$1" "$plain" "$left" $((width - ${#left})) "$right"
}

# What a running step is at, from the end of its log: ninja's count and file, or the package apt is at.
step_detail() {
  tail -c 2000 "$1" 2>/dev/null | tr '\r' '\n' | sed -nE '
    s/^(\[[0-9]+\/[0-9]+\]) .*CMakeFiles\/[^/]+\.dir\/([^ ]+)\.o$/\1 \2/p
    s/^(\[[0-9]+\/[0-9]+\]) .*[ \/]([^ \/]+)$/\1 \2/p
    s/^((Unpacking|Setting up) [^ :]+).*/\1/p' | tail -1
}

running_pid=''
stop_running() {
  # The step is a process group of its own: the terminal's ^C does not reach it by itself.
  if [ "$running_pid" ]; then kill -TERM -- "-$running_pid" 2>/dev/null || true; fi
  [ ! "$terminal" ] || printf '\e[?25h\n'
  printf 'Stopped. The same command goes on from here.\n'
  exit 130
}

# run_step NUMBER TOTAL NAME LABEL NOTE FETCH_MB HINT COMMAND...: runs COMMAND with its output in build/logs.
run_step() {
  local number=$1 name=$3 what=$4 label="$1/$2 $4" note=$5 size='' hint=$7 start=$SECONDS frame=0 status=0 said=$SECONDS
  local log=$repo/build/logs/$number-$name.log
  if [ "$6" -gt 0 ]; then size=$(size_mb "$6"); fi
  shift 7
  mkdir -p "$repo/build/logs"
  trap stop_running INT TERM
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  running_pid=$!
  set +m
  if [ "$terminal" ]; then
    printf '\e[?25l'
    while kill -0 "$running_pid" 2>/dev/null; do
      printf '\r\e[K%s' "$(step_line "${frames[frame++ % ${#frames[@]}]}" '' "$label" "$(step_detail "$log")" \
        "$(duration $((SECONDS - start)))" "$size")"
      sleep 0.2
    done
    printf '\r\e[K\e[?25h'
  else
    while kill -0 "$running_pid" 2>/dev/null; do
      if [ $((SECONDS - said)) -ge 10 ]; then
        said=$SECONDS
        printf '%s\n' "$(step_line ' ' '' "$label" "$(step_detail "$log")" "$(duration $((SECONDS - start)))" '')"
      fi
      sleep 0.2
    done
  fi
  wait "$running_pid" || status=$?
  running_pid=''
  trap - INT TERM
  if [ $status != 0 ]; then
    printf '%s\n' "$(step_line "$mark_failed" "$red" "$label" 'failed' "$(duration $((SECONDS - start)))" '')"
    printf '\n%s\n' "${muted}The last lines of ${log#"$repo/"}:$plain"
    tail -n 15 "$log" | tr -d '\000-\010\013-\037' | cut -c "1-$((columns > 100 ? columns : 100))" | sed 's/^/    /'
    printf '\nsimilis: %s failed. The whole log: %s\n%s\n' "$what" "$log" "$hint" >&2
    exit 3
  fi
  printf '%s\n' "$(step_line "$mark_done" "$green" "$label" "$note" "$(duration $((SECONDS - start)))" "$size")"
}
