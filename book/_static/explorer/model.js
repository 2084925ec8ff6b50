// The models of the explorer: a causal transformer, a matrix factorisation and a sparse autoencoder, as recsae_core has
// them (recommenders/transformer.py, recommenders/blocks.py, recommenders/towers.py, sae/autoencoder.py, steer/edit.py).
// Pure functions over typed arrays, no DOM. Weights are float32 or half, sums are float64.
window.RecsaeModel = (() => {
  "use strict";

  const half = (bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  };

  // A tensor of the exporter as a Float32Array, row after row.
  const unpack = ({ shape, type, data, scale }) => {
    const raw = atob(data);
    const view = new DataView(new ArrayBuffer(raw.length));
    for (let i = 0; i < raw.length; i++) view.setUint8(i, raw.charCodeAt(i));
    const size = { half: 2, float: 4, int8: 1 }[type];
    const out = new Float32Array(raw.length / size);
    const rows = scale && unpack(scale);
    for (let i = 0; i < out.length; i++) {
      if (size === 2) out[i] = half(view.getUint16(2 * i, true));
      else out[i] = size === 4 ? view.getFloat32(4 * i, true) : view.getInt8(i) * rows[Math.floor(i / shape[1])];
    }
    return out;
  };
  const unpackAll = (weights) => Object.fromEntries(Object.entries(weights).map(([name, t]) => [name, unpack(t)]));

  // W x + b for W of n rows, one after another, from row `first` on.
  const linear = (W, b, x, n, first = 0) => {
    const d = x.length;
    const out = new Float64Array(n);
    for (let r = 0; r < n; r++) {
      let sum = b ? b[first + r] : 0;
      const at = (first + r) * d;
      for (let c = 0; c < d; c++) sum += W[at + c] * x[c];
      out[r] = sum;
    }
    return out;
  };
  const layerNorm = (x, weight, bias) => {
    let mean = 0;
    for (const v of x) mean += v / x.length;
    let variance = 0;
    for (const v of x) variance += (v - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + 1e-5);
    return x.map((v, i) => (v - mean) * scale * weight[i] + bias[i]);
  };
  const gelu = (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  const plus = (a, b) => a.map((v, i) => v + b[i]);

  // One block at one position: what it writes, given keys and values of the positions before it; its own are added.
  const block = (w, name, heads, x, past) => {
    const d = x.length;
    const wide = d / heads;
    const qkv = linear(
      w[`${name}.qkv.weight`],
      w[`${name}.qkv.bias`],
      layerNorm(x, w[`${name}.norm1.weight`], w[`${name}.norm1.bias`]),
      3 * d,
    );
    const keys = [...past.keys, qkv.subarray(d, 2 * d)];
    const values = [...past.values, qkv.subarray(2 * d)];
    const mixed = new Float64Array(d);
    for (let h = 0; h < heads; h++) {
      const from = h * wide;
      const score = keys.map((key) => {
        let sum = 0;
        for (let c = from; c < from + wide; c++) sum += qkv[c] * key[c];
        return sum / Math.sqrt(wide);
      });
      const most = Math.max(...score);
      const weight = score.map((s) => Math.exp(s - most));
      const total = weight.reduce((a, b) => a + b, 0);
      weight.forEach((p, t) => {
        for (let c = from; c < from + wide; c++) mixed[c] += (p / total) * values[t][c];
      });
    }
    const y = plus(x, linear(w[`${name}.attention_out.weight`], w[`${name}.attention_out.bias`], mixed, d));
    const inner = layerNorm(y, w[`${name}.norm2.weight`], w[`${name}.norm2.bias`]);
    const ffn = linear(
      w[`${name}.ffn_in.weight`],
      w[`${name}.ffn_in.bias`],
      inner,
      w[`${name}.ffn_in.bias`].length,
    ).map(gelu);
    const out = plus(y, linear(w[`${name}.ffn_out.weight`], w[`${name}.ffn_out.bias`], ffn, d));
    return { out, past: { keys, values } };
  };
  const NOTHING = { keys: [], values: [] };

  // stop(history) -> the vector h of the last position after the block of the site, and finish(h), the scores of all
  // items. An edit of that vector leaves all earlier positions as they are, so finish runs the later blocks on one row.
  const transformer = (about) => {
    const w = unpackAll(about.weights);
    const items = w["item.weight"];
    const d = about.weights["item.weight"].shape[1];
    const nItems = items.length / d;
    const site = Number(about.site.replace("block", ""));
    const run = (x, pasts, from, to) => {
      for (let b = from; b < to; b++) {
        const step = block(w, `blocks.${b}`, about.heads, x, pasts[b]);
        x = step.out;
        pasts[b] = step.past;
      }
      return x;
    };
    const stop = (history) => {
      const read = history.slice(-about.length);
      if (!read.length) throw new Error("the history is empty: expected at least one item");
      const pasts = Array.from({ length: about.layers }, () => NOTHING);
      let h;
      let before;
      read.forEach((item, t) => {
        h = new Float64Array(d);
        for (let c = 0; c < d; c++) h[c] = items[item * d + c] + w["position.weight"][t * d + c];
        h = run(h, pasts, 0, site + 1);
        before = pasts.slice();
        if (t < read.length - 1) run(h, pasts, site + 1, about.layers);
      });
      const finish = (row) =>
        linear(
          items,
          null,
          layerNorm(run(row, before.slice(), site + 1, about.layers), w["norm.weight"], w["norm.bias"]),
          nItems,
        );
      return { h, finish, scores: finish(h) };
    };
    return { stop, d, nItems, items };
  };

  // stop(user) -> the user's vector; the score is the product with the item's and three biases.
  const mf = (about) => {
    const w = unpackAll(about.weights);
    const d = about.weights.Q.shape[1];
    const nItems = w.Q.length / d;
    const stop = (user) => {
      const finish = (row) => linear(w.Q, null, row, nItems).map((s, i) => s + w.b[0] + w.b_user[user] + w.b_item[i]);
      const h = Float64Array.from(w.P.subarray(user * d, (user + 1) * d));
      return { h, finish, scores: finish(h) };
    };
    return { stop, d, nItems, items: w.Q };
  };

  const autoencoder = (about) => {
    const w = unpackAll(about.weights);
    const { d, m } = about;
    const shift = w.shift || new Float32Array(d);
    const scale = w.scale || new Float32Array(d).fill(1);
    // The code of a row, one number a latent.
    const encode = (h) => {
      const u = h.map((v, c) => (v - shift[c]) / scale[c] - w.b_dec[c]);
      const z = linear(w.W_enc, w.b_enc, u, m).map((v) => Math.max(v, 0));
      if (about.sparsifier === "topk") {
        const kept = new Set(
          Array.from(z.keys())
            .sort((a, b) => z[b] - z[a] || a - b)
            .slice(0, about.k),
        );
        return z.map((v, j) => (kept.has(j) ? v : 0));
      }
      return z;
    };
    // What one unit of a latent adds to a row, in the units of the site.
    const direction = (j) => Float64Array.from(w.W_dec.subarray(j * d, (j + 1) * d), (v, c) => v * scale[c]);
    return { encode, direction, d, m };
  };

  const RULES = { add: (z, dose) => z + dose, set: (z, dose) => dose, scale: (z, dose) => z * dose };
  // The row after a rule has changed one latent, what the autoencoder fails to explain being kept: h + D z' - D z. The
  // decoder is linear, so that this is the direction times the change; a change of nothing returns the row itself.
  const edit = (sae, h, latent, rule, dose, unit = 1) => {
    const z = rule === "add" ? 0 : sae.encode(h)[latent];
    const change = RULES[rule](z, dose * unit) - z;
    if (change === 0) return h;
    const direction = sae.direction(latent);
    return h.map((v, c) => v + change * direction[c]);
  };

  // The k best items that are not among `seen`, best first; equal scores in the order of the items.
  const top = (scores, seen, k) => {
    const known = new Set(seen);
    const free = Array.from(scores.keys()).filter((i) => !known.has(i));
    return free.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, k);
  };

  // What one unit of a latent would add to each score if its direction went straight to the items.
  const direct = (model, sae, latent) => linear(model.items, null, sae.direction(latent), model.nItems);

  const build = (about) => ({ ...(about.kind === "mf" ? mf : transformer)(about), sae: autoencoder(about.sae) });
  return { build, edit, top, direct, unpack };
})();
