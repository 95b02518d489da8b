// A static web server of one folder, for tests.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript',
    '.css': 'text/css',
    '.wasm': 'application/wasm',
};

/** Serves a folder on this machine; resolves to its address and a function that ends it. */
export async function serve(folder) {
    const server = createServer(async ({ url }, response) => {
        const path = normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname));
        try {
            const file = await readFile(join(folder, path.endsWith('/') ? `${path}index.html` : path));
            response.writeHead(200, {
                'Content-Type':
                    TYPES[extname(path)] ?? (path.endsWith('/') ? TYPES['.html'] : 'application/octet-stream'),
            });
            response.end(file);
        } catch {
            response.writeHead(404).end();
        }
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    return { address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
