# Shows FILE in a real terminal emulator and photographs the screen, into /tmp/photo.png.
# Arguments: FILE BACKGROUND FOREGROUND GEOMETRY TERMINAL (xterm, or sakura, which draws with VTE like GNOME
# Terminal).
set -euo pipefail
file=$1 background=$2 foreground=$3 geometry=$4 terminal=$5
work=$(mktemp -d)
cd "$work"

mkdir -p -m 1777 /tmp/.X11-unix
mkfifo display
Xvfb -displayfd 3 -screen 0 1280x1024x24 -nolisten tcp 3<>display >xvfb.log 2>&1 &
read -r number 3<>display <display
export DISPLAY=:$number

# No cursor, and no output after the picture that could scroll it away. A terminal reports its cursor's
# position once it has read all earlier output.
cat >show <<END
printf '\033]10;$foreground\007\033]11;$background\007\033[?25l'
cat '$file'
stty raw -echo
printf '\033[6n'
IFS= read -r -d R
printf '\033]2;all is drawn\007'
: >'$work/shown'
sleep 60
END
case $terminal in
xterm) command=(xterm -u8 -fa 'DejaVu Sans Mono' -fs 7 -geometry "$geometry+0+0" -bw 0 +sb -e bash show) ;;
sakura) command=(sakura -f 'DejaVu Sans Mono 7' -c "${geometry%x*}" -r "${geometry#*x}" -x "bash $work/show") ;;
esac
"${command[@]}" >terminal.log 2>&1 &
for _ in $(seq 200); do [ -e shown ] && break || sleep 0.05; done
[ -e shown ] || { cat xvfb.log terminal.log >&2; exit 2; }

# Read does not mean drawn: the display handles requests in order, and the window's new name is the last one.
# (import waits for events of the window; on a busy machine it can miss one.)
for _ in $(seq 100); do timeout 5 import -window 'all is drawn' screen.png 2>import.log && break || sleep 0.05; done
[ -e screen.png ] || { cat import.log >&2; exit 2; }

# The screen is not blank, and two photographs of it are the same.
before=
for _ in $(seq 50); do
    timeout 5 import -window root screen.png || continue
    now=$(identify -format '%# %k' screen.png)
    if [ "$now" = "$before" ] && [ "${now##* }" != 1 ]; then
        # The picture, with enough of the background around it.
        convert screen.png -trim +repage -bordercolor "$background" -border 24 /tmp/photo.png
        exit 0
    fi
    before=$now
done
echo "the screen stays blank, or does not come to rest: $now" >&2
exit 2
