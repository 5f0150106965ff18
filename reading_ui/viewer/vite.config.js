// Builds the image reading canvas into ../static/built/viewer: a small stable entry (viewer.js,
// viewer.css), hashed chunks beside it, and a .gz and .br twin of every text and wasm file so that a
// web server has nothing left to compress.
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';
import { adaptedTools, codecsWithoutEval } from './libraries.js';

const outDir = resolve(import.meta.dirname, '../static/built/viewer');
const absent = resolve(import.meta.dirname, 'src/absent.js');
const hashed = {
  entryFileNames: 'parts/[name]-[hash].js',
  chunkFileNames: 'parts/[name]-[hash].js',
  assetFileNames: 'parts/[name]-[hash][extname]',
};
const compressible = /\.(js|css|wasm|json|svg)$/;

function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

function precompressed() {
  return {
    name: 'precompressed',
    closeBundle() {
      for (const path of files(outDir).filter((name) => compressible.test(name))) {
        const bytes = readFileSync(path);
        if (bytes.length < 1024) continue;
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        writeFileSync(
          `${path}.br`,
          brotliCompressSync(bytes, {
            params: {
              [constants.BROTLI_PARAM_QUALITY]: 10,
              [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
            },
          }),
        );
      }
    },
  };
}

export default defineConfig({
  base: './',
  publicDir: false,
  resolve: { alias: { xmlbuilder2: absent, fs: absent, path: absent } },
  optimizeDeps: { exclude: ['@cornerstonejs/dicom-image-loader'], include: ['dicom-parser'] },
  worker: { format: 'es', plugins: () => [codecsWithoutEval()], rollupOptions: { output: hashed } },
  build: {
    outDir,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 4000,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: resolve(import.meta.dirname, 'src/viewer.js'),
      output: {
        entryFileNames: 'viewer.js',
        chunkFileNames: hashed.chunkFileNames,
        assetFileNames: (asset) =>
          asset.names?.some((name) => name.endsWith('.css')) ? 'viewer.css' : hashed.assetFileNames,
      },
    },
  },
  plugins: [codecsWithoutEval(), adaptedTools(), precompressed()],
});
