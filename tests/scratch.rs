use mimi::*;
use std::time::Instant;
fn wav(p:&str)->Vec<f32>{ let b=std::fs::read(p).unwrap(); b[44..].chunks_exact(2).map(|c| i16::from_le_bytes([c[0],c[1]]) as f32/32768.0).collect() }
fn npy16(p:&str)->(Vec<usize>,Vec<i16>){ let f=npyz::NpyFile::new(std::io::BufReader::new(std::fs::File::open(p).unwrap())).unwrap(); let s=f.shape().iter().map(|&x|x as usize).collect(); (s,f.into_vec::<i16>().unwrap()) }
fn npyf(p:&str)->Vec<f32>{ npyz::NpyFile::new(std::io::BufReader::new(std::fs::File::open(p).unwrap())).unwrap().into_vec::<f32>().unwrap() }
#[test] fn golden(){
  let x=wav("tests/data/golden/speech.wav");
  for c in ["tiny","tiny-dilated","tiny-shortcut","tiny-gqa-bias","tiny-16khz","tiny-replicate","tiny-semantic2","tiny-noproj","tiny-theta","tiny-bf16","tiny-f16","tiny-sharded","tiny-moshi","tiny-moshi-weightnorm","demo"] {
    let gold = match c {"tiny-sharded"=>"tiny","tiny-moshi-weightnorm"=>"tiny-moshi",c=>c};
    let (s,codes)=npy16(&format!("tests/data/golden/{gold}/speech.codes.npy"));
    let audio=npyf(&format!("tests/data/golden/{gold}/speech.audio.npy"));
    let path = if c=="demo" {"src/bin/mimi/demo/model.safetensors".to_string()} else {format!("tests/data/golden/{c}")};
    let m=match Model::load(&path,&LoadOptions::default()){Ok(m)=>m,Err(e)=>{println!("{c}: {e}");continue}};
    let n = if c=="demo"{x.len()} else if c=="tiny-16khz" {35237} else {52837};
    let o=StreamOptions{codebooks:Some(s[0]),tail: if c.contains("moshi"){Tail::AudioPad}else{Tail::LayerPad},..Default::default()};
    let got=m.encode(&x[..n],&o).unwrap();
    let k=s[0]; let t=s[1]; let mut bad=0; for i in 0..k{for j in 0..t{ if got[j*k+i]!=codes[i*t+j] as u32 {bad+=1}}}
    let flat:Vec<u32>=(0..t).flat_map(|j|(0..k).map(move |i|(i,j))).map(|(i,j)|codes[i*t+j] as u32).collect();
    let y=m.decode(&flat,&o).unwrap(); let mx=audio.iter().fold(0f32,|a,b|a.max(b.abs())); let d=y.iter().zip(&audio).fold(0f32,|a,(b,c)|a.max((b-c).abs()));
    println!("{c}: len {} {} bad {bad}/{} audio rel {:e} lens {} {} id {}",got.len(),k*t,k*t,d/mx,y.len(),audio.len(),m.id());
  }
}
#[test] fn speed(){
  let p="/tmp/full.safetensors"; if !std::path::Path::new(p).exists(){return}
  for isa in [Isa::Auto, Isa::Avx2] {
  let t=Instant::now(); let m=Model::load(p,&LoadOptions{isa,..Default::default()}).unwrap(); println!("load {:?} mem {}",t.elapsed(),m.memory_bytes());
  let x=wav("tests/data/golden/long.wav");
  let mut e=Encoder::new(&m,&StreamOptions::default()).unwrap(); let mut d=Decoder::new(&m,&StreamOptions::default()).unwrap();
  println!("enc mem {} dec mem {}",e.memory_bytes(),d.memory_bytes());
  let (mut te,mut td)=(vec![],vec![]); let mut c=[0u32;8]; let mut y=vec![0f32;1920];
  for f in x.chunks_exact(1920).take(100){ let t=Instant::now(); e.process(f,&mut c).unwrap(); te.push(t.elapsed().as_secs_f64()*1e3); let t=Instant::now(); d.process(&c,&mut y).unwrap(); td.push(t.elapsed().as_secs_f64()*1e3);}
  te.sort_by(f64::total_cmp); td.sort_by(f64::total_cmp); println!("{isa:?} enc min {:.2} p50 {:.2} dec min {:.2} p50 {:.2}",te[0],te[50],td[0],td[50]);
  let x=&x[..240000]; for _ in 0..2 { let t=Instant::now(); let c=m.encode(x,&Default::default()).unwrap(); let a=t.elapsed(); let t=Instant::now(); m.decode(&c,&Default::default()).unwrap(); println!("offline 10s: enc {:?} dec {:?}",a,t.elapsed()); }
  }
}
