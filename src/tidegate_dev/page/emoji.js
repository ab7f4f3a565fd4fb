// The emoji names that chat messages commonly use. Names not in here stay as they were written.
const TABLE = `
+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|100 💯|alarm_clock ⏰|ambulance 🚑|anchor ⚓|arrow_down ⬇️
arrow_left ⬅️|arrow_right ➡️|arrow_up ⬆️|arrows_counterclockwise 🔄|bar_chart 📊|beers 🍻|bell 🔔
black_circle ⚫|blue_heart 💙|blush 😊|book 📖|boom 💥|broken_heart 💔|bug 🐛|bulb 💡|calendar 📅
chart_with_downwards_trend 📉|chart_with_upwards_trend 📈|checkered_flag 🏁|clap 👏|clipboard 📋
clock1 🕐|cloud ☁️|coffee ☕|computer 💻|confetti_ball 🎊|construction 🚧|cry 😢|dart 🎯|dizzy 💫
double_vertical_bar ⏸️|email 📧|exclamation ❗|eyes 👀|fast_forward ⏩|file_folder 📁|fire 🔥
fireworks 🎆|floppy_disk 💾|gear ⚙️|ghost 👻|gift 🎁|green_heart 💚|grey_question ❔|grin 😁
grinning 😀|hammer 🔨|hammer_and_wrench 🛠️|handshake 🤝|heart ❤️|heavy_check_mark ✔️
heavy_minus_sign ➖|heavy_plus_sign ➕|hourglass ⌛|hourglass_flowing_sand ⏳|inbox_tray 📥
information_source ℹ️|joy 😂|key 🔑|label 🏷️|large_blue_circle 🔵|large_green_circle 🟢
large_orange_circle 🟠|large_red_circle 🔴|large_yellow_circle 🟡|laughing 😆|link 🔗|lock 🔒
mag 🔍|mailbox 📫|mega 📣|memo 📝|moneybag 💰|mute 🔇|no_bell 🔕|no_entry ⛔|no_entry_sign 🚫
ocean 🌊|octagonal_sign 🛑|ok 🆗|ok_hand 👌|outbox_tray 📤|package 📦|page_facing_up 📄|paperclip 📎
party_popper 🎉|pencil 📝|pencil2 ✏️|point_down 👇|point_left 👈|point_right 👉|point_up ☝️|pray 🙏
pushpin 📌|question ❓|rainbow 🌈|raised_hands 🙌|recycle ♻️|red_circle 🔴|repeat 🔁|rewind ⏪
robot_face 🤖|rocket 🚀|rotating_light 🚨|scroll 📜|see_no_evil 🙈|shield 🛡️|ship 🚢|shrug 🤷
slightly_frowning_face 🙁|slightly_smiling_face 🙂|smile 😄|smiley 😃|snail 🐌|snowflake ❄️|sob 😭
sos 🆘|sparkles ✨|speech_balloon 💬|star ⭐|stop_sign 🛑|stopwatch ⏱️|sunglasses 😎|sunny ☀️
sweat_smile 😅|tada 🎉|thinking_face 🤔|thread 🧵|timer_clock ⏲️|traffic_light 🚥|triangular_flag_on_post 🚩
turtle 🐢|umbrella ☔|unlock 🔓|vertical_traffic_light 🚦|warning ⚠️|wastebasket 🗑️|wave 👋
whale 🐳|wheel_of_dharma ☸️|white_check_mark ✅|white_circle ⚪|wink 😉|wrench 🔧|x ❌|zap ⚡|zzz 💤
`;

const EMOJI = new Map(
  TABLE.trim()
    .split(/[|\n]/)
    .map((entry) => entry.split(" ")),
);

/** The emoji of that name, or undefined. */
export function emoji(name) {
  return EMOJI.get(name);
}

/** The text with known `:names:` as emoji. */
export function withEmoji(words) {
  return words.replace(/:([a-z0-9_+-]{1,40}):/g, (whole, name) => EMOJI.get(name) ?? whole);
}
