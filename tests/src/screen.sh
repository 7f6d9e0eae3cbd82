# Shows FILE in a real terminal emulator, photographs the screen and lets a real scanner read it.
# Arguments: FILE BACKGROUND FOREGROUND GEOMETRY. Prints what the scanner reads, nothing when it reads nothing.
# The photograph stays in /tmp/photo.png.
set -euo pipefail
file=$1 background=$2 foreground=$3 geometry=$4
work=$(mktemp -d)
cd "$work"

mkdir -p -m 1777 /tmp/.X11-unix
mkfifo display
Xvfb -displayfd 3 -screen 0 1280x1024x24 -nolisten tcp 3<>display >xvfb.log 2>&1 &
read -r number 3<>display <display
export DISPLAY=:$number

# No cursor, and nothing after the picture that could scroll it away.
printf "printf '\\\\033[?25l'; cat '%s'; : >'%s/shown'; sleep 60\n" "$file" "$work" >show
xterm -u8 -fa 'DejaVu Sans Mono' -fs 7 -bg "$background" -fg "$foreground" -geometry "$geometry+0+0" -bw 0 +sb -e sh show \
    >xterm.log 2>&1 &
for _ in $(seq 200); do [ -e shown ] && break || sleep 0.05; done
[ -e shown ] || { cat xvfb.log xterm.log >&2; exit 2; }

for _ in 1 2 3 4; do
    sleep 0.3
    import -window root /tmp/photo.png
    # A camera is never quite in focus; letters ("##") only become areas that way.
    for blur in 0 1 2 3 4 5; do
        convert /tmp/photo.png -colorspace gray -blur "0x$blur" scan.png
        text=$(zbarimg --raw --quiet scan.png 2>/dev/null || true)
        [ -z "$text" ] || { printf '%s\n' "$text"; exit 0; }
    done
done
