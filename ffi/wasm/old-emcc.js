// For an emcc that is too old to export the memory by EXPORTED_RUNTIME_METHODS (scripts/emcc).
if (typeof wasmMemory !== 'undefined' && !Module['wasmMemory']) Module['wasmMemory'] = wasmMemory;
