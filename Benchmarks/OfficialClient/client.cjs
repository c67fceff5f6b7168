// The official JavaScript client (socket.io-client 4.8.1) on Node and the ws package: joins, counts the messages by their
// ids, and says what that cost. usage: node client.cjs FOLDER PORT COUNT; FOLDER is what Scripts/official-client made.
'use strict';
const [folder, port, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
globalThis.WebSocket = require(`${folder}/playwright/driver/package/lib/utilsBundle.js`).ws;
const io = require(`${folder}/nicegui/static/socket.io.min.js`);

// What this thread used, without the collector's and the compiler's helpers, if Node can tell; else all of the process.
const cpu = () => {
    const used = (process.threadCpuUsage ?? process.cpuUsage).call(process);
    return used.user + used.system;
};
const socket = io(`http://127.0.0.1:${port}/realtime`, { transports: ['websocket'], auth: { token: 't' } });
let seen = 0, ids = 0, first = 0;
socket.on('message.created', message => {
    if (message.id ?? message.messageId) ids += 1;
    seen += 1;
    if (seen === 1) first = cpu();
    if (seen < count) return;
    console.log((cpu() - first) / 1e6);
    process.exit(ids === count ? 0 : 1);
});
socket.on('connect', () => socket.emit('join_channel'));
socket.on('connect_error', error => { console.error(String(error)); process.exit(1); });
