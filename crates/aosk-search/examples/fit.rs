//! Fits and evaluates.
use aosk_search::evaluate::Conversation;
use aosk_search::feature::{COUNT, FEATURES};
use aosk_search::fit::{Example, Settings, fit};
use aosk_search::{Query, Weights};

fn tokens(t: &str) -> f64 { t.len() as f64 / 4.3 + 1.0 }

struct Q { tr: Example,  ex: Example, cat: u32, conv: usize, lens: Vec<f64>, ids: Vec<u64>, evid: Vec<u64>, text: String }

fn eval(qs: &[&Q], w: &dyn Fn(&Q) -> Weights, alpha: f64, print: bool, name: &str) -> (f64, f64) {
    let mut tot = std::collections::BTreeMap::new();
    for q in qs {
        let w = w(q);
        let sc: Vec<f32> = q.ex.features.iter().map(|f| w.score(f)).collect();
        let mut order: Vec<usize> = (0..sc.len()).collect();
        order.sort_by(|a, b| sc[*b].total_cmp(&sc[*a]).then(q.ids[*a].cmp(&q.ids[*b])));
        let rec = |k: usize| { q.evid.iter().filter(|e| order.iter().take(k).any(|o| q.ids[*o] == **e)).count() as f64 / q.evid.len() as f64 };
        let budget = |alpha: f64, b: f64| {
            let mut o2 = order.clone();
            o2.sort_by(|a, b| (sc[*b] as f64 - alpha * q.lens[*b].ln()).total_cmp(&(sc[*a] as f64 - alpha * q.lens[*a].ln())));
            let mut used = 0.0; let mut got = vec![];
            for o in o2 { if used + q.lens[o] > b { continue; } used += q.lens[o]; got.push(q.ids[o]); }
            q.evid.iter().filter(|e| got.contains(e)).count() as f64 / q.evid.len() as f64
        };
        let row = [rec(1), rec(5), rec(10), rec(20), budget(0.0, 1000.0), budget(0.0, 4000.0), budget(alpha, 4000.0)];
        for c in [0u32, q.cat, if q.cat < 5 { 14 } else { 5 }, 100 + q.conv as u32] {
            if c == 5 && q.cat == 5 { }
            let e: &mut (f64, [f64; 7]) = tot.entry(c).or_insert((0.0, [0.0; 7]));
            e.0 += 1.0; for i in 0..7 { e.1[i] += row[i]; }
        }
    }
    if print { for (c, (n, r)) in &tot {
        println!("{name:8} cat {c:3} n {n:5} R1 {:.3} R5 {:.3} R10 {:.3} R20 {:.3} t1k {:.3} t4k {:.3} t4ka {:.3}", r[0]/n, r[1]/n, r[2]/n, r[3]/n, r[4]/n, r[5]/n, r[6]/n);
    } }
    let (n, r) = &tot[&0];
    (r[2] / n, r[5] / n)
}

/// traces: index grows; query = assistant text; gold = earlier pages holding a rare identifier of it
fn traces(path: &str, w: &[(&str, Weights)]) {
    use aosk_search::analyse::{Analyser, Kind};
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().take(90).map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut res = vec![[0.0f64; 4]; w.len()]; let mut n = 0.0; let mut tadd = 0u128; let mut pages = 0;
    for chunk in lines.chunks(15) {
        let mut index = aosk_search::Index::new();
        let mut id = 0u64;
        let mut holders: std::collections::BTreeMap<String, Vec<u64>> = Default::default();
        for (g, run) in chunk.iter().enumerate() {
            for (o, m) in run["messages"].as_array().unwrap().iter().enumerate() {
                let mut t = m["content"].as_str().unwrap_or_default().to_string();
                let role = m["role"].as_str().unwrap();
                let said = t.clone();
                for c in m["tool_calls"].as_array().into_iter().flatten() { t.push_str(" "); t.push_str(c["function"]["arguments"].as_str().unwrap_or_default()); }
                let mut ids: Vec<String> = vec![];
                Analyser::default().analyse(&t, &mut |x| if (x.kind == Kind::Whole || (x.kind == Kind::Number && x.text.len() > 3)) && x.text.len() > 4 { ids.push(x.text.to_string()) });
                ids.sort(); ids.dedup();
                if role == "assistant" && said.len() > 20 {
                    let mut gold: Vec<u64> = ids.iter().filter_map(|i| holders.get(i)).filter(|h| h.len() <= 2).flatten().copied().collect();
                    gold.sort(); gold.dedup();
                    if !gold.is_empty() && gold.len() < 6 && index.len() > 30 {
                        n += 1.0;
                        let q: String = t.chars().take(600).collect();
                        for (r, (_, w)) in res.iter_mut().zip(w) {
                            let hits = index.search(&Query { text: &q, ..Query::default() }, w, 10);
                            let got: Vec<u64> = hits.iter().map(|h| h.id).collect();
                            r[0] += gold.iter().filter(|g| got.first() == Some(*g)).count() as f64 / gold.len() as f64;
                            r[1] += gold.iter().filter(|g| got[..got.len().min(5)].contains(g)).count() as f64 / gold.len() as f64;
                            r[2] += gold.iter().filter(|g| got.contains(g)).count() as f64 / gold.len() as f64;
                        }
                    }
                }
                let s = std::time::Instant::now();
                index.add(&aosk_search::Page { id, text: &t, kind: Some(role), group: g as u64, order: o as u64, ..Default::default() });
                tadd += s.elapsed().as_micros(); pages += 1;
                for i in ids { holders.entry(i).or_default().push(id); }
                id += 1;
            }
        }
    }
    for (r, (name, _)) in res.iter().zip(w) { println!("{path} {name:10} n {n} R1 {:.3} R5 {:.3} R10 {:.3}", r[0]/n, r[1]/n, r[2]/n); }
    println!("add {} us/page", tadd / pages as u128);
}

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let mode = std::env::args().nth(2).unwrap_or_default();
    let convs: Vec<Conversation> = std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut qs = vec![];
    let t = std::time::Instant::now();
    let mut spent = vec![];
    for (ci, c) in convs.iter().enumerate() {
        let index = c.index();
        for q in &c.questions {
            let evid: Vec<u64> = q.evidence.iter().filter_map(|e| c.turns.iter().position(|t| t.id == *e)).map(|x| x as u64).collect();
            if evid.is_empty() { continue; }
            let t = std::time::Instant::now();
            let cands = index.candidates(&Query { text: &q.question, ..Query::default() });
            spent.push(t.elapsed().as_micros());
            let ids: Vec<u64> = cands.iter().map(|c| c.id).collect();
            let evidence: Vec<usize> = evid.iter().filter_map(|e| ids.iter().position(|i| i == e)).collect();
            let base: Vec<f32> = cands.iter().map(|c| c.features[0] + c.features[8] + c.features[10] + c.features[9]).collect();
            let mut ord: Vec<usize> = (0..base.len()).collect(); ord.sort_by(|a, b| base[*b].total_cmp(&base[*a]));
            let mut keep: Vec<usize> = ord[..ord.len().min(150)].to_vec(); for e in &evidence { if !keep.contains(e) { keep.push(*e); } }
            let tr = Example { weight: 1.0, group: ci, features: keep.iter().map(|k| cands[*k].features).collect(), evidence: keep.iter().enumerate().filter(|(_, k)| evidence.contains(k)).map(|(i, _)| i).collect() };
            let lens = ids.iter().map(|i| tokens(&c.turns[*i as usize].text)).collect();
            qs.push(Q { tr,  ex: Example { weight: 1.0, group: ci, features: cands.into_iter().map(|c| c.features).collect(), evidence }, cat: q.category, conv: ci, lens, ids, evid, text: q.question.clone() });
        }
    }
    spent.sort();
    println!("questions {} features in {:?} p50 {}us", qs.len(), t.elapsed(), spent[spent.len() / 2]);
    let all: Vec<&Q> = qs.iter().collect();
    for f in ["bm25", "window", "cover"] {
        let w = Weights::parse(&format!("{f} 1")).unwrap();
        eval(&all, &|_| w.clone(), 0.0, false, f);
        let (a, b) = eval(&all, &|_| w.clone(), 0.0, false, f);
        println!("{f} R10 {a:.4} t4k {b:.4}");
    }
    let s = Settings::default();
    let mask = |off: &[usize]| -> Vec<Weights> {
        let mut copy: Vec<Example> = qs.iter().map(|q| q.tr.clone()).collect();
        for e in &mut copy { for f in &mut e.features { for o in off { f[*o] = 0.0; } } }
        let copy = &copy;
        std::thread::scope(|sc| { let hs: Vec<_> = (0..convs.len()).map(|c| sc.spawn(move || fit(copy.iter().filter(|e| e.group != c), s))).collect(); hs.into_iter().map(|h| h.join().unwrap()).collect() })
    };
    let ws = mask(&[]);
    println!("fit {:?}", t.elapsed());
    let (base, base4) = eval(&all, &|q| ws[q.conv].clone(), 0.5, true, "loo");
    println!("LOO R10 {base:.4} t4k {base4:.4}");
    let full = fit(qs.iter().map(|q| &q.tr), s);
    let (a, b) = eval(&all, &|_| full.clone(), 0.0, false, "in");
    println!("in-sample R10 {a:.4} t4k {b:.4}");
    for (n, w) in FEATURES.iter().zip(full.0) {
        let i = FEATURES.iter().position(|m| m == n).unwrap();
        println!("{n:15} {w:7.3}   loo {}", ws.iter().map(|w| format!("{:6.2}", w.0[i])).collect::<Vec<_>>().join(" "));
    }
    if mode == "traces" {
        let ws = [("bm25", Weights::parse("bm25 1").unwrap()), ("window", Weights::parse("window 1").unwrap()), ("fitted", full.clone())];
        for f in ["coding-terminal", "tau-airline-100"] { traces(&format!("/work/shared/data/traces/{f}.jsonl"), &ws); }
    }
    if mode == "ablate" {
        for i in 0..COUNT {
            let ws = mask(&[i]);
            let (a, b) = eval(&all, &|q| ws[q.conv].clone(), 0.0, false, "x");
            println!("without {:15} R10 {:+.4} t4k {:+.4}", FEATURES[i], a - base, b - base4);
        }
    }
    if mode == "miss" {
        for q in qs.iter() {
            let w = &ws[q.conv];
            let sc: Vec<f32> = q.ex.features.iter().map(|f| w.score(f)).collect();
            let mut order: Vec<usize> = (0..sc.len()).collect();
            order.sort_by(|a, b| sc[*b].total_cmp(&sc[*a]));
            for e in &q.evid {
                let r = order.iter().position(|o| q.ids[*o] == *e).unwrap_or(9999);
                if r >= 10 && q.evid.len() < 3 {
                    let t = &convs[q.conv].turns;
                    println!("\n#{r} cat{} {}", q.cat, q.text);
                    println!("   want {} {}: {}", t[*e as usize].id, t[*e as usize].speaker, t[*e as usize].text);
                    for o in order.iter().take(2) { let x = &t[q.ids[*o] as usize]; println!("   got {} {}: {}", x.id, x.speaker, x.text.chars().take(200).collect::<String>()); }
                }
            }
        }
    }
}
