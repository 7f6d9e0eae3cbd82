// Reads key URIs, one a line: issuer, account and secret with tabs between; an empty line if it refuses.
const { URI } = require("otpauth");

const lines = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1);
for (const line of lines) {
    try {
        const read = URI.parse(line);
        console.log([read.issuer, read.label, read.secret.base32].join("\t"));
    } catch {
        console.log();
    }
}
