import { createHash } from 'node:crypto'
import { mldsa44Ed25519 as row } from '../src/algorithms/mldsa44-ed25519.js'
import { readArmor } from '../src/formats/armor.js'
import { Reader, Writer } from '../src/wire.js'

/** `ssh-keygen -t mldsa44-ed25519 -N '' -C hana@example -f key`, OpenSSH 10.6p1. */
const KEY_FILE = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAFWwAAABNzc2gtbW
xkc2E0NC1lZDI1NTE5AAAFQJuP5XJsRWP6kHBNbMB5uyBkxh87Ok10xv/ZNjwO76+Vp1yY
pySh1oeF9J2EJERA5UqiLFuT4Y8PaJXxyboyOQ+qLAnbjsVRbJX129UTO0HZBlnKqY/dsA
Ka5i/Iivr6xfOnFAx28aVBlkibIG8S8mOaab4dDji0WSIieiwDAuFSU3HSKmdhZy9G8px7
yF7R0WXU70LDz3aaILAbiC4Jbf7xiZ2bJnTL6aQ7RY/Zx3VRaZ7cCZsFjtg+hxMpnKzArD
LjkliiZr9B2WgVMWM3s2+oEQu1Froq+TszT0ls3Bp9fpU+dNAAsTud9wb2sb4Un6Kau5oL
ICJ2s8tzjtHDQ3oXjlYYnbvFjF6mZwbesRkN0/k+aoIg8W5+9M2f1LlHRz2uq3a1OT65rO
OFsX4dHTyojggAWeNoa0pkL+IQoPhh4bZQNXgsCtsaIgXtrPdFSgBHP8xu0+1S/SEsl1em
nEFBzQpAUfTsevckUB2Jkb2F2GjsMYCFAOIqalOt3H92NgZQyRCVl8rpW0U81/jsyW+bIo
sGFezvvA4aKrllaRjWXzYK+M7ETnOu1HJcC8c667YH0sIkkS7zArG85xSQJ3XDToWLxNNc
Z/vtuV/hKONyO6NZCflk672aBxjo0VlQV+jOGeFpDazQEUT1LXEki0FtxHpw6JjVF8M6gI
eV26uMqxrIUud82ZkrlaMlO9dDZYWLuZye5QBqlg+oMsVl2qvdnVS+pXdfF3dHEX2FcfTG
fc2DxKtfFq3lyr1k3IpTlrnH0CFP8Fn5BwcDvfuOEe988NSBoLdV+IWgP9lxC8jDNSRGRa
m3aUsnW1lqU1Dgh00aQwuKJL96BE+xLY25ZuSBuKiCHaMvZuTBWCXjKmVe2me8U9muOtqb
Vco+g2uDGcG3ja8nIisnMhEXJ6iUSfG13x8cEIHV/8jQZAU6lsijM6wuuZb5LStup4Tt2Z
e4Uv+kRJyUd5NALDgtGQKRros1Y2NGFB/5PW4ewwvKzAVoW3ira4dAWOJnCTXEyoRzPmBI
1gcOxHt+82CDU1bokpqiO8+tTbI1E5mF62/obIU5AE/8b9mjMSsWlaOvxNCKVj4Giq+BhM
aW3mCN8tw5gzZPvDY5HW1y6Uojd9xywUCZznwnGM+CaZXzQG2Xw/TJVp02qTBuwQruVdYK
VAoX/cqU+wyfDWD5uEAEx7edsoaFc+3lFIrT9eRzuv4kLMI2c0qH+Ca7POjz8rTQbafwX5
uDNpjF4FmsGxyGOVHerJ/gh0F+Ov9tg7RROswGGJqPCueRMcXyMKJ8U5hn8GGNueCAD88b
iW057AcG5U3Wj+XRIy0ZeHfIOIaHw2PCplC44tCpl+mS1CTIiA6o4INZtvSokxDjAuF05s
OkTDzp4YgC/UQLSIT2l/W2oYBdvPI55XminwSKhlyjgyXPOivvs4IO31FuFVhDUkZMJQMn
4ldHpgUWbhNxUp/TKzAs5LU/gvvg90Ycrl5JdS5eb6m76hhPrWWLu0zc8b1x/gn1X6mDcc
nRrJmhZn/uw1cFOwMgRUH6h4lx5eaQSDjHPaDT/mdS04pjVBezO5AUCmp/K3rjQzp+mIMl
kA0fDUX/g0RA+w3D6q93W1w5/QYJu5Pdi50YEiVhHq80E/GqhhFbPNSKvg/VtO1SrJk0Ju
143FEx+214pF7knbcutKwsC1Ccwa0G3Z1BwfNoBqLSrzspgw8jLLiycPaMYnMaFl3R3jLo
UNhaN2a6RY3W/KBW9BF0E0lGTUOvVm+CKxA+Uz3XEwSZTA6kdHTqynPSs7k6/KQsngAABb
iit9NporfTaQAAABNzc2gtbWxkc2E0NC1lZDI1NTE5AAAFQJuP5XJsRWP6kHBNbMB5uyBk
xh87Ok10xv/ZNjwO76+Vp1yYpySh1oeF9J2EJERA5UqiLFuT4Y8PaJXxyboyOQ+qLAnbjs
VRbJX129UTO0HZBlnKqY/dsAKa5i/Iivr6xfOnFAx28aVBlkibIG8S8mOaab4dDji0WSIi
eiwDAuFSU3HSKmdhZy9G8px7yF7R0WXU70LDz3aaILAbiC4Jbf7xiZ2bJnTL6aQ7RY/Zx3
VRaZ7cCZsFjtg+hxMpnKzArDLjkliiZr9B2WgVMWM3s2+oEQu1Froq+TszT0ls3Bp9fpU+
dNAAsTud9wb2sb4Un6Kau5oLICJ2s8tzjtHDQ3oXjlYYnbvFjF6mZwbesRkN0/k+aoIg8W
5+9M2f1LlHRz2uq3a1OT65rOOFsX4dHTyojggAWeNoa0pkL+IQoPhh4bZQNXgsCtsaIgXt
rPdFSgBHP8xu0+1S/SEsl1emnEFBzQpAUfTsevckUB2Jkb2F2GjsMYCFAOIqalOt3H92Ng
ZQyRCVl8rpW0U81/jsyW+bIosGFezvvA4aKrllaRjWXzYK+M7ETnOu1HJcC8c667YH0sIk
kS7zArG85xSQJ3XDToWLxNNcZ/vtuV/hKONyO6NZCflk672aBxjo0VlQV+jOGeFpDazQEU
T1LXEki0FtxHpw6JjVF8M6gIeV26uMqxrIUud82ZkrlaMlO9dDZYWLuZye5QBqlg+oMsVl
2qvdnVS+pXdfF3dHEX2FcfTGfc2DxKtfFq3lyr1k3IpTlrnH0CFP8Fn5BwcDvfuOEe988N
SBoLdV+IWgP9lxC8jDNSRGRam3aUsnW1lqU1Dgh00aQwuKJL96BE+xLY25ZuSBuKiCHaMv
ZuTBWCXjKmVe2me8U9muOtqbVco+g2uDGcG3ja8nIisnMhEXJ6iUSfG13x8cEIHV/8jQZA
U6lsijM6wuuZb5LStup4Tt2Ze4Uv+kRJyUd5NALDgtGQKRros1Y2NGFB/5PW4ewwvKzAVo
W3ira4dAWOJnCTXEyoRzPmBI1gcOxHt+82CDU1bokpqiO8+tTbI1E5mF62/obIU5AE/8b9
mjMSsWlaOvxNCKVj4Giq+BhMaW3mCN8tw5gzZPvDY5HW1y6Uojd9xywUCZznwnGM+CaZXz
QG2Xw/TJVp02qTBuwQruVdYKVAoX/cqU+wyfDWD5uEAEx7edsoaFc+3lFIrT9eRzuv4kLM
I2c0qH+Ca7POjz8rTQbafwX5uDNpjF4FmsGxyGOVHerJ/gh0F+Ov9tg7RROswGGJqPCueR
McXyMKJ8U5hn8GGNueCAD88biW057AcG5U3Wj+XRIy0ZeHfIOIaHw2PCplC44tCpl+mS1C
TIiA6o4INZtvSokxDjAuF05sOkTDzp4YgC/UQLSIT2l/W2oYBdvPI55XminwSKhlyjgyXP
Oivvs4IO31FuFVhDUkZMJQMn4ldHpgUWbhNxUp/TKzAs5LU/gvvg90Ycrl5JdS5eb6m76h
hPrWWLu0zc8b1x/gn1X6mDccnRrJmhZn/uw1cFOwMgRUH6h4lx5eaQSDjHPaDT/mdS04pj
VBezO5AUCmp/K3rjQzp+mIMlkA0fDUX/g0RA+w3D6q93W1w5/QYJu5Pdi50YEiVhHq80E/
GqhhFbPNSKvg/VtO1SrJk0Ju143FEx+214pF7knbcutKwsC1Ccwa0G3Z1BwfNoBqLSrzsp
gw8jLLiycPaMYnMaFl3R3jLoUNhaN2a6RY3W/KBW9BF0E0lGTUOvVm+CKxA+Uz3XEwSZTA
6kdHTqynPSs7k6/KQsngAAAECaTjXSsAmdqJRN8Rgjd458HC1dR0rDaCEOn6sksdIXTZ1c
Qg6HFamUpsGAnuvg806FGD7TaTze1Un85U8/CM7KAAAADGhhbmFAZXhhbXBsZQE=
-----END OPENSSH PRIVATE KEY-----`
/** `ssh-keygen -l -f key.pub`, OpenSSH 10.6p1. */
const LISTED = '512 SHA256:zT3eNKVSIMHtSimO9ViM2I6NAxO/ke0xQ/NPky1PrjY hana@example (MLDSA44-ED25519)'
/** `printf 'what is signed' > message; ssh-keygen -Y sign -n file -f key message`, OpenSSH 10.6p1. */
const SSHSIG = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAABVsAAAATc3NoLW1sZHNhNDQtZWQyNTUxOQAABUCbj+VybEVj+pBwTW
zAebsgZMYfOzpNdMb/2TY8Du+vladcmKckodaHhfSdhCREQOVKoixbk+GPD2iV8cm6MjkP
qiwJ247FUWyV9dvVEztB2QZZyqmP3bACmuYvyIr6+sXzpxQMdvGlQZZImyBvEvJjmmm+HQ
44tFkiInosAwLhUlNx0ipnYWcvRvKce8he0dFl1O9Cw892miCwG4guCW3+8YmdmyZ0y+mk
O0WP2cd1UWme3AmbBY7YPocTKZyswKwy45JYoma/QdloFTFjN7NvqBELtRa6Kvk7M09JbN
wafX6VPnTQALE7nfcG9rG+FJ+imruaCyAidrPLc47Rw0N6F45WGJ27xYxepmcG3rEZDdP5
PmqCIPFufvTNn9S5R0c9rqt2tTk+uazjhbF+HR08qI4IAFnjaGtKZC/iEKD4YeG2UDV4LA
rbGiIF7az3RUoARz/MbtPtUv0hLJdXppxBQc0KQFH07Hr3JFAdiZG9hdho7DGAhQDiKmpT
rdx/djYGUMkQlZfK6VtFPNf47MlvmyKLBhXs77wOGiq5ZWkY1l82CvjOxE5zrtRyXAvHOu
u2B9LCJJEu8wKxvOcUkCd1w06Fi8TTXGf77blf4SjjcjujWQn5ZOu9mgcY6NFZUFfozhnh
aQ2s0BFE9S1xJItBbcR6cOiY1RfDOoCHldurjKsayFLnfNmZK5WjJTvXQ2WFi7mcnuUAap
YPqDLFZdqr3Z1UvqV3Xxd3RxF9hXH0xn3Ng8SrXxat5cq9ZNyKU5a5x9AhT/BZ+QcHA737
jhHvfPDUgaC3VfiFoD/ZcQvIwzUkRkWpt2lLJ1tZalNQ4IdNGkMLiiS/egRPsS2NuWbkgb
iogh2jL2bkwVgl4yplXtpnvFPZrjram1XKPoNrgxnBt42vJyIrJzIRFyeolEnxtd8fHBCB
1f/I0GQFOpbIozOsLrmW+S0rbqeE7dmXuFL/pESclHeTQCw4LRkCka6LNWNjRhQf+T1uHs
MLyswFaFt4q2uHQFjiZwk1xMqEcz5gSNYHDsR7fvNgg1NW6JKaojvPrU2yNROZhetv6GyF
OQBP/G/ZozErFpWjr8TQilY+BoqvgYTGlt5gjfLcOYM2T7w2OR1tculKI3fccsFAmc58Jx
jPgmmV80Btl8P0yVadNqkwbsEK7lXWClQKF/3KlPsMnw1g+bhABMe3nbKGhXPt5RSK0/Xk
c7r+JCzCNnNKh/gmuzzo8/K00G2n8F+bgzaYxeBZrBschjlR3qyf4IdBfjr/bYO0UTrMBh
iajwrnkTHF8jCifFOYZ/BhjbnggA/PG4ltOewHBuVN1o/l0SMtGXh3yDiGh8NjwqZQuOLQ
qZfpktQkyIgOqOCDWbb0qJMQ4wLhdObDpEw86eGIAv1EC0iE9pf1tqGAXbzyOeV5op8Eio
Zco4Mlzzor77OCDt9RbhVYQ1JGTCUDJ+JXR6YFFm4TcVKf0yswLOS1P4L74PdGHK5eSXUu
Xm+pu+oYT61li7tM3PG9cf4J9V+pg3HJ0ayZoWZ/7sNXBTsDIEVB+oeJceXmkEg4xz2g0/
5nUtOKY1QXszuQFApqfyt640M6fpiDJZANHw1F/4NEQPsNw+qvd1tcOf0GCbuT3YudGBIl
YR6vNBPxqoYRWzzUir4P1bTtUqyZNCbteNxRMftteKRe5J23LrSsLAtQnMGtBt2dQcHzaA
ai0q87KYMPIyy4snD2jGJzGhZd0d4y6FDYWjdmukWN1vygVvQRdBNJRk1Dr1ZvgisQPlM9
1xMEmUwOpHR06spz0rO5OvykLJ4AAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAJzwAAABNzc2
gtbWxkc2E0NC1lZDI1NTE5AAAJtFn2ZqZVbrnsrn/q7NwYj1pjXZ/7R48hg2mbWNQoCC+l
FoqdcsiYHBypvS4GWcso/jINJoCHUoYEG1AZHnmYIu9mLCrxulRMTKDMSxZneWNVw6wtxL
5/QumR2/IgteJI9LqbWx2sdBUKHKqNMrjRJi45OFHJ3hRz1u9BHgpowrWUB6RXHhO2OZ6c
Wxh1LGoU4D8yflm2SdMlKvR81B15qig4p6HBPh+wcJ0ueszmLBaeuhvY/lQz3b1+I/N9XJ
G4aXmqrvsP7GK/8Z5DZ+/bo+GfMPnhRh8h4B+TRP2fj12r/w1K6osJB56/6nKPZoj1NHuj
+4sJO732Wp5BjlLPYhIYV8oPiKBTA53znyd7vM+cxUX1hWR+ZAnfPFe3xkWvL5SXzU6krI
fHgNwVi5MhqPYFGZ9RrWPlnqtScqZJ+kbzEXQM4XrA6olbOAZ/IpoqP7lbu0bcnvWUqBUI
6OShDWdTwFAuESrslbEa8vFQfqSPLGLxw/xqxhqcL8dWNtvOqEOfPyrFAVc08HUNKDnGqr
yK0it8qxFSduV7/ivEhXJ69Rzv+K2h94pHwCRRRXoJiQHFMkTOyigkLjn0bEq+SeNyDo+n
6p6SzesqhsEEIGX0qMAsRjAkg/eBhBafTUrOblbVR18yKWp4CVAORas2Yg7y6hG4eMpGpL
rVK77GhcxO8T0nfK0jc7aPdNgebAZVo0XE8Z59/MAIca1nngIOjTaVHFb+PRKJGQcY6cfM
rcARe/g6H+Y9d1V4dmnL6gxTQ9bT4CgIFoL3718+zCsgiAtYgjttv6REdTH7UQ/a+gn7pJ
ZSOwN4CotWo7p6LbGUSOMsUH3l6GuioUgxuROixhYs1HlJXLVQS12BfBDkVlo7Bp5HOXVJ
k4gK8HTdzQJwqajVI3jlTZMadMW4FqehDq6ZLbKxbF8rjA6vA7PnfDGQiFx3MEqbi1G8Mk
wj8BYLHFNEkgpZFYMeIzXQjK+QGmTu8LjB1vyInKDE9sCVL5TpyMwjSAdk7sO9dGMQlWxQ
DwOw6mvyk4aa6PoDUP/FneQTW6SbRQmCjzcP3UErv+tUMMa4j3CbDvvCy2S/IvVmYNLXwo
gJ+KzOQ687d52w5KgOH194hXFZuD8CyJyDuyMNQQOeT0gbRqFEO6BaO2UajNPj7iq4R9K6
KbeskIaTZVL+iVS+t0t1+qvqvSjNXd4PB0sZpVFIai/JvQI+bsSkxkFz/6T3+E0r0xNk2r
uY5XahvxvToUT4Ol45iVKWagHbnpfP3warbAzA3IRqCBSU7PCnA78M5eGnsAOEqTYx7cRt
87cNvygR+LD9RNgFUaWazBPqcwr4PKLyUfrtHEUaQX8UMP97p4srIfoAsauING3LlTRcRN
dXEGMDTyUQ0ATQfcdop4SOe9NuiX/VkNZ92VCWlfrlq+4m3GOzW0rvBhfqk/bdUQGni4Pd
9kvaIfdzoI5/vmAgsl0/F70rHb4Xl4VQ+nbeSNZX/mu2WD/cXF4ZaSjMCJz5249qjozgC2
DWhIrXwoRtBn03PRZJP4p5sUoZuB1XuxwfNGBs4doghwrnDOOQWqO/S99V45QMOowswgvg
SeTsyJ/tOcOJjxr2tifuACI4vjjPl8BwbLMfH3P80sJIi55Z6yyfykPQMw9GQYHm6XoeXk
2Oj6AMXNqp+EAVRbomUElJwQSorYEsCEpQH3mHjGxyD94H5jzkR392MgfyUYhJsiiJ8RhJ
fmbiusuQu9FrUf0c0DDM0shSgZI3TVXjVCZGOiHn/LM1JXwm0MtrGt1s74bZpnv0YPmT8M
XR+ApThA+E8CICtjw2KZtNm6x2CU1F89ZU9sL0uZBdSezsrr0WBArkO8R+d2lEZsdpq+fQ
bq0UVFC+vC0ozGuzj4EqxACX5MQGWG0C/gYl+MlHS4GrRCTFMRTUGIyxee7C5GEv3ii+Me
qCkH7Qjc2AH8EF63H23SbyhoM+cTtMU9Iu8Dcm0kF39QgEKKJGommKfmcmB/vfqmAwEc2v
F/y80c4HD1IIZNc2JP+KU91oJNovuD1GRxUAIEAjQKR0lrMHfSIScYoY+e+ztqsyBBPF16
R0ic1a7oLD4NVwGzAy38I0CStB2q/buB336JskGAGd/9q9DzvWfA6m5qriWkfy/Pr9E9fu
TVAYs9JOh0HYxRlcNZMGQruDZMK+FpIbodrCsOKMQ4gOKMh8LIJcMJ2xsXc7rCDup6EDtW
ud9dzOkkciW11yiPhBYGZal6WkCSVqcoCTWaleZlyhvU9w58T/fHAhXH5Vsu3c7ZULjakh
kW4AFhi3x9C73r7h25egVKvQCIkbkH7c2zwjI4Ra86qt+gfe0lHhmWG+4uE4qJxtLX8W/2
5RpM7KOwMCpem9ioPQTQXdXGtOxlLs7y/UyB8xEeRi+99rBtb3RjCNgQ8O7b+3maQVp3xy
ISxdjFypsnC3smosvYueHUpYoLGNWJnF566nrWwXFsK1QafWTwcmNidPWd/EzvwB8I2syM
ZME06XU6011XH2c1f6PBzWyw0dgqBt6VN9scE01DZumAre6yc5S8aUqH3dN7ef2lwc2O+v
odqJ9ZneWgMXDXZOHsEVVF5X+RXrn6RDuGAeVjA5Pr4l5AIO9eKEOGl394EJL/ykKJOKet
6sF4fU2wcZraznAx/c6f3FAcMavsV+PZ5PFfrzuqn1eMlA7I39bwCKLpl5aaG8k//00CKl
vBtluOriQzJ0R7Iw/FR/ljZRur7OyQyS0AzLGUF6PH1fgh05s82mL3Y59ovBP4jPkIDkRp
W5cZLkuW3nBVzkMMBT9E52LvK9L4wshsXImfQzckOUk6PsfhJcUaoAu9BTxu1DgeuMg4Wv
Wg6EYyoqVSNSn4cXe9cSFRF9VKUjiBahM1F6R2tLi5LjK4GXHRBuFZCVK7hqK5Oe10ETOm
i5Yq24NqPoFy5FnDWiNo9ImfCn5rlDGDfPl2i/KQHQWaD7N4rXIzkuBjs89bwf9f6GvatC
mfZwcAxKvrCRHRPXavUJLE6jTZ52ueJFy6uVg+12eaXamlm/y+ojXR3J4tQKYrgw/7z7gK
jbAzu3P/xbT1VmFlaJzjWMDK4H6bScvxh/N23O/ODADWcdN+0kGU33q+tHtbf4Bg0SLkxW
io+0zd/q+fsTISgtPklOVW+doMXS2/wDEyk0NT1hf97n7vwPFzM5V3h6h6y43AAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAOHSk0ifN85a0juiNl6K3xAfXE+W6mZnQNWt0oykGE
xcIhi5ULHaGBbUyTU3z1Dbmh2294DnBAci6t/dwbanJfRMQgBw==
-----END SSH SIGNATURE-----`

const data = Buffer.from('what is signed')
const scheme = { name: 'ssh-mldsa44-ed25519', hash: null }
/** Where ML-DSA's half ends in the public key, in the seeds and in a signature. */
const HALF = { pk: 1312, seeds: 32, signature: 2420 }

type Key = Awaited<ReturnType<typeof generate>>
const file = readKeyFile()

test('reads what ssh-keygen wrote, and writes the same bytes', async () => {
  expect(file.comment).toBe('hana@example')
  await expect(row.checkPrivate(file.key)).resolves.toBeUndefined()
  expect(writePrivate(file.key)).toEqual(file.section)
  expect(publicBlob(file.key)).toEqual(file.publicBlob)
})

test('is listed as ssh-keygen lists it', () => {
  const hash = createHash('sha256').update(publicBlob(file.key)).digest('base64').replace(/=+$/, '')
  expect(`${row.bits(file.key)} SHA256:${hash} ${file.comment} (${row.label})`).toBe(LISTED)
})

test('verifies what ssh-keygen signed, and nothing near it', async () => {
  const { signed, blob } = readSshsig()
  const verify = row.verifier(file.key)
  expect(await verify(scheme, signed, blob)).toBe(true)
  expect(await verify(scheme, data, blob)).toBe(false)
  for (const at of [0, HALF.signature - 1, HALF.signature, blob.length - 1]) {
    expect(await verify(scheme, signed, flip(blob, at))).toBe(false)
  }
  for (const other of [blob.subarray(1), blob.subarray(0, -1), Buffer.concat([blob, Buffer.of(0)]), Buffer.alloc(0)]) {
    expect(await verify(scheme, signed, other)).toBe(false)
  }
  for (const at of [0, HALF.pk - 1, HALF.pk, file.key.pk.length - 1]) {
    expect(await row.verifier({ pk: flip(file.key.pk, at) })(scheme, signed, blob)).toBe(false)
  }
})

test('signs with a fresh key what needs both halves to verify', async () => {
  const [one, other] = [await generate(), await generate()]
  expect(one.pk).not.toEqual(other.pk)
  expect(readPrivate(writePrivate(one))).toEqual(one)
  const [first, second] = [await sign(one), await sign(other)]
  expect(await row.verifier(one)(scheme, data, first)).toBe(true)
  expect(await row.verifier(other)(scheme, data, first)).toBe(false)
  const cut = HALF.signature
  const mixed = [
    Buffer.concat([first.subarray(0, cut), second.subarray(cut)]),
    Buffer.concat([second.subarray(0, cut), first.subarray(cut)]),
  ]
  for (const blob of mixed) expect(await row.verifier(one)(scheme, data, blob)).toBe(false)
})

test('signs differently each time, as FIPS 204 recommends', async () => {
  const [first, second] = [await sign(file.key), await sign(file.key)]
  expect(first.subarray(0, HALF.signature)).not.toEqual(second.subarray(0, HALF.signature))
  for (const blob of [first, second]) expect(await row.verifier(file.key)(scheme, data, blob)).toBe(true)
})

test.each([0, HALF.seeds - 1, HALF.seeds, 2 * HALF.seeds - 1])('refuses seeds changed at byte %i', async at => {
  const key = { ...file.key, seeds: flip(file.key.seeds, at) }
  await expect(row.checkPrivate(key)).rejects.toMatchObject({ code: 'damaged' })
})

test.each([0, HALF.pk - 1, HALF.pk, HALF.pk + 31])('refuses a public half changed at byte %i', async at => {
  const key = { ...file.key, pk: flip(file.key.pk, at) }
  await expect(row.checkPrivate(key)).rejects.toMatchObject({ code: 'damaged' })
})

test.each(['pk', 'seeds'] as const)('refuses a field %s that is a byte off', name => {
  for (const part of [file.key[name].subarray(1), Buffer.concat([file.key[name], Buffer.of(0)])]) {
    const bytes = writePrivate({ ...file.key, [name]: part })
    expect(() => readPrivate(bytes)).toThrow(expect.objectContaining({ code: 'damaged', offset: expect.any(Number) }))
  }
})

test('signs nothing once its parts are wiped', async () => {
  const key = await generate()
  const use = row.signer?.(key)
  const early = use?.(scheme, data)
  key.pk.fill(0)
  key.seeds.fill(0)
  await expect(early).rejects.toMatchObject({ code: 'failed' })
  await expect(use?.(scheme, data)).rejects.toMatchObject({ code: 'failed' })
})

async function generate(): Promise<{ pk: Buffer; seeds: Buffer }> {
  const key = await row.generate?.()
  if (!key) throw new Error('the row generates no keys')
  await row.checkPrivate(key)
  return key
}

async function sign(key: Key): Promise<Buffer> {
  const signature = await row.signer?.(key)(scheme, data)
  if (!signature) throw new Error('the row does not sign')
  return signature
}

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

function publicBlob(key: Key): Buffer {
  const writer = new Writer().text(row.name)
  row.publicFields.write(writer, key)
  return writer.done()
}

function writePrivate(key: Key): Buffer {
  const writer = new Writer()
  row.privateFields.write(writer, key)
  return writer.done()
}

function readPrivate(bytes: Buffer): Key {
  const reader = new Reader(bytes)
  const key = row.privateFields.read(reader)
  reader.end()
  return key
}

/** PROTOCOL.key: the outer and the inner layout of a key in the clear. `section` is what belongs to the row. */
function readKeyFile() {
  const reader = new Reader(readArmor(Buffer.from(KEY_FILE), 'OPENSSH PRIVATE KEY'))
  reader.bytes('openssh-key-v1\0'.length)
  expect([reader.text(), reader.text(), reader.text(), reader.uint32()]).toEqual(['none', 'none', '', 1])
  const publicBlob = reader.string()
  const inner = reader.nested()
  reader.end()
  inner.bytes(8)
  expect(inner.text()).toBe(row.name)
  const rest = inner.rest()
  const fields = new Reader(rest)
  const key = row.privateFields.read(fields)
  return { publicBlob, key, section: rest.subarray(0, fields.offset), comment: fields.text() }
}

/** PROTOCOL.sshsig: what was signed in place of the message, and the blob of the signature. */
function readSshsig() {
  const reader = new Reader(readArmor(Buffer.from(SSHSIG), 'SSH SIGNATURE'))
  const magic = reader.bytes('SSHSIG'.length)
  expect(reader.uint32()).toBe(1)
  expect(reader.string()).toEqual(file.publicBlob)
  const [namespace, reserved, hash] = [reader.string(), reader.string(), reader.text()]
  const signature = reader.nested()
  reader.end()
  expect(signature.text()).toBe(scheme.name)
  const blob = signature.string()
  signature.end()
  const digest = createHash(hash).update(data).digest()
  const signed = new Writer().bytes(magic).string(namespace).string(reserved).text(hash).string(digest).done()
  return { signed, blob }
}
